import pytest

from service.check.advice import advice, products_in
from service.check.results import Problem

PRODUCTS = {"Apache", "Caddy", "Cloudflare", "HAProxy", "Traefik", "Varnish", "nginx"}


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_has_a_cause_and_a_setting_for_each_product(problem: Problem) -> None:
    found = advice()[problem]
    assert found.cause
    assert found.settings.keys() - {"Reelay"} == PRODUCTS


def test_products_are_those_that_header_fields_name() -> None:
    fields = (("via", "1.1 varnish (Varnish/7.1)"), ("server", "Apache/2.4.71"), ("age", "0"))
    assert products_in(fields) == ["Varnish", "Apache"]
    assert products_in((("cf-ray", "8f2-FRA"), ("server", "cloudflare"))) == ["Cloudflare"]
    assert products_in(()) == []
