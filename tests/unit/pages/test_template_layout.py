import pytest
from jinja2 import Environment

from service.pages.template_layout import WithoutLayout

ENVIRONMENT = Environment(extensions=[WithoutLayout], autoescape=True)


def rendered(*lines: str) -> str:
    return ENVIRONMENT.from_string("\n".join(lines)).render()


def test_neither_indentation_nor_the_lines_of_statements_are_sent() -> None:
    page = rendered(
        "<ul>",
        "    {# A comment. #}",
        "    {% for number in (1, 2) %}",
        "        <li>{{ number }}</li>",
        "    {% endfor %}",
        "</ul>",
    )
    assert page == "<ul>\n<li>1</li>\n<li>2</li>\n</ul>"


def test_words_and_attributes_stay_apart() -> None:
    page = rendered(
        "<p",
        "   {% if true %}",
        "       id='a'",
        "   {% endif %}",
        "   {% if true %}class='b'{% endif %}",
        "   dir='ltr'>",
        "    one",
        "    {% if true %}",
        "        two",
        "    {% endif %}",
        "    {%- if true -%}",
        "        three",
        "    {% endif %}",
        "</p>",
    )
    assert page.split() == [
        "<p",
        "id='a'",
        "class='b'",
        "dir='ltr'>",
        "one",
        "two",
        "three",
        "</p>",
    ]


def test_errors_name_the_right_line() -> None:
    template = ENVIRONMENT.from_string("{# 1 #}\n{% if true %}\n    {{ 1 / 0 }}\n{% endif %}")
    with pytest.raises(ZeroDivisionError) as caught:
        template.render()
    assert caught.traceback[-1].lineno + 1 == 3
