from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestd.core.text.boilerplate import (
    HEADLINES_REMEMBERED,
    OutletLines,
    hash_lines,
    remove_known_boilerplate,
    remove_lines,
)

STORY = """\
The council of Port Ellory voted on Monday to close the old fish market and to build a concert hall in its place.
The mayor, Agneta Foyle, called it the boldest decision since the harbour was dredged.
Read closely, the plan says nothing about the fishmongers, who announced that they would go to court."""


@pytest.mark.parametrize(
    "line",
    [
        "Advertisement", "ADVERTISEMENT", "Sponsored content", "Read more: Ferry strikes pier in the fog", "RELATED: The hall",
        "Also read: How the vote went", "Lesen Sie auch: Der Hafen", "Lire aussi : le vieux port", "Lea también: El puerto",
        "Читайте также: порт", "Related articles", "You may also like", "Share this article", "Facebook",
        "Follow us on Twitter", "Follow @portpost", "Sign up for our morning newsletter", "Subscribe now for $1 a week",
        "Get the day's headlines in your inbox", "Click here to listen", "Skip to main content", "Image: Port Post / A. Foyle",
        "(Photo: Port Post)", "Photo by Ole Strand", "Image caption", "Foto: Hafenpost", "Getty Images",
        "© 2024 Port Post", "Copyright 2024 Port Post. All rights reserved.", "(c) 2024 Port Post",
        "All rights reserved.", "This material may not be published, broadcast or rewritten.",
        "(Additional reporting by Ole Strand; editing by Helen Vale)", "By Ann Foyle and Ole Strand, in Brannoc",
        "Published On 4 Feb 20254 Feb 2025", "Last updated: 25/03/2016", "Posted: 2017-11-13 14:03 GMT", "Comments",
    ],
)  # fmt: skip
def test_a_line_of_a_known_form_is_left_out(line: str) -> None:
    first, _, rest = STORY.partition("\n")
    assert remove_known_boilerplate(f"{line}\n{first}\n  {line} \n{rest}\n{line}") == STORY.replace("\n", "\n", 1)


@pytest.mark.parametrize(
    "line",
    [
        "By Monday the water had gone down.", "Read closely, it says nothing.", "Related talks failed in spring.",
        "First came the fog, then the ferry.", "All hands were saved.", "Share prices fell by a tenth.",
        "Image rights cost the club two million.", "Watch the harbour and you see it.", "This is not the end.",
        "Get up early if you want to see it.", "Like most fishmongers, he is angry.", "Sign language was used throughout.",
    ],
)  # fmt: skip
def test_a_sentence_that_begins_like_one_stays(line: str) -> None:
    assert remove_known_boilerplate(f"{STORY}\n{line}") == f"{STORY}\n{line}"


def test_a_page_of_nothing_else_stays_whole() -> None:
    page = "Advertisement\nShare this\nThe hall opens."
    assert remove_known_boilerplate(page) == page
    assert remove_lines(page, hash_lines(page)) == page


@given(st.lists(st.sampled_from(["a b", "Advertisement", "", "x" * 300, *STORY.split("\n")])).map("\n".join))
def test_what_is_left_is_the_text_less_some_lines(text: str) -> None:
    left = remove_known_boilerplate(text)
    lines = iter(text.split("\n"))
    assert all(line in lines for line in left.split("\n"))  # in their order
    assert remove_known_boilerplate(left) == left or left == text


def create_page(headline: str, *lines: str) -> tuple[str, np.ndarray]:
    return headline, hash_lines("\n".join([headline, *lines]))


def test_a_line_under_four_headlines_recurs_and_one_under_three_does_not() -> None:
    outlet = OutletLines()
    for n in range(4):
        outlet.add(*create_page(f"Headline {n}", "Always there", f"Only once {n}", *(["Thrice"] if n else [])))
    assert outlet.recurring_lines.tolist() == hash_lines("Always there").tolist()


def test_versions_under_one_headline_count_once() -> None:
    outlet = OutletLines()
    for n in range(9):
        outlet.add(*create_page("The ferry", "First paragraph", f"Update {n}"))
    assert outlet.recurring_lines.size == 0


def test_what_an_outlet_no_longer_prints_is_forgotten() -> None:
    outlet = OutletLines()
    for n in range(HEADLINES_REMEMBERED * 2):
        outlet.add(*create_page(f"Headline {n}", "Old imprint" if n < HEADLINES_REMEMBERED else "New imprint"))
    assert outlet.recurring_lines.tolist() == hash_lines("New imprint").tolist()


def test_a_line_that_recurs_is_left_out_wherever_it_stands() -> None:
    text = f"Old imprint\n{STORY}\n  Old imprint"
    assert remove_lines(text, hash_lines("Old imprint")) == STORY
