"""
The features of an article: the value, the stored form, and the index for finding candidates.

A further feature is a module of this room with the methods of `Feature`, and an entry in `FEATURES`. Fingerprints,
stored signatures, the window and the reading of stored rows go through this list.
"""

from ingestd.core.features.copy_feature import CopyFeature
from ingestd.core.features.event_feature import EventColumns, EventFeature
from ingestd.core.features.feature import Feature, FeatureColumns, FeatureIndex, FeatureInputs, FeatureValue

COPY, EVENT = CopyFeature(), EventFeature()
FEATURES: tuple[Feature, ...] = (COPY, EVENT)

__all__ = [
    "COPY",
    "EVENT",
    "FEATURES",
    "CopyFeature",
    "EventColumns",
    "EventFeature",
    "Feature",
    "FeatureColumns",
    "FeatureIndex",
    "FeatureInputs",
    "FeatureValue",
]
