"""Checks of the edge's own error pages."""

import base64
import hashlib
import re

from support.raw_http import Answer

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def check_edge_page(answer: Answer, status: int) -> str:
    """Check an error page and that its policy allows its style; return its heading."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert int(answer.headers["Retry-After"]) > 0
    page = answer.body.decode()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = answer.headers.get_all("Content-Security-Policy") or []
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy  # CSP3 §6.7.2.2
    assert '<a href="">Try again</a>' in page
    (heading,) = re.findall(r"<h1>(.*?)</h1>", page)
    return str(heading)
