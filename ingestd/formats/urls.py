"""One address for one page, and whose page it is."""

from __future__ import annotations

from urllib.parse import urldefrag


def canonical(url: str) -> str | None:
    """Return the address without what does not change the page (tracking, fragment); None: no web address."""
    from courlan import clean_url  # slow to import, and not every file has addresses

    cleaned = clean_url(url)
    if not cleaned or not cleaned.startswith(("http://", "https://")):
        return None
    # http and https serve the same page wherever both are served.
    return "https://" + urldefrag(cleaned).url.split("://", 1)[1].rstrip("/")


def outlet(url: str) -> str | None:
    """Return the registered domain, such as bbc.co.uk."""
    from courlan import extract_domain

    domain = extract_domain(url, fast=True)
    return domain or None
