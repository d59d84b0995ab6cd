"""Web addresses: one form for every address of the same page, and the domain of the outlet."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ingestd.core.text.normalise import limit_marks

# Hosts that serve the same pages to other devices: m.example.org, amp.example.org, en.m.example.org.
_DEVICES = re.compile(r"(?:^|(?<=\.))(?:www\d?|m|mobile|amp|touch)\.(?=[^.]+\.)")
_AMP_PATH = re.compile(r"/amp(?=/|$)|\.amp(?=$|\.html$)")
_AMP_QUERY = {"amp", "outputtype"}


def canonicalise_url(url: str) -> str | None:
    """
    Return the address without the parts that do not change the page; None: no web address.

    Left out are tracking parameters, the fragment, requests for the AMP or the mobile form of the page, `www.`, and
    the difference of http and https.
    """
    from courlan import clean_url  # slow to import, and not every file has addresses

    try:
        cleaned = clean_url(limit_marks(url))
        if not cleaned or not cleaned.startswith(("http://", "https://")):
            return None
        parts = urlsplit(cleaned)
    except ValueError:
        return None
    host = _DEVICES.sub("", parts.netloc.lower())
    path = _AMP_PATH.sub("", parts.path).rstrip("/")
    query = parts.query
    if query and any(name in query.lower() for name in _AMP_QUERY):
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(name, value) for name, value in pairs if name.lower() not in _AMP_QUERY])
    return urlunsplit(("https", host, path, query, ""))


def find_domain(url: str) -> str | None:
    """Return the registered domain of an address, such as bbc.co.uk."""
    from courlan import extract_domain  # slow to import

    try:
        return extract_domain(limit_marks(url), fast=True) or None
    except ValueError:  # no address, or a character reference of thousands of digits
        return None
