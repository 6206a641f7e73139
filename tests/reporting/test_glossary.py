import html

from nextday.reporting.glossary import glossary
from nextday.reporting.html import environment


def test_terms_are_in_order_and_explained_in_a_few_sentences():
    terms = glossary()
    assert list(terms) == sorted(terms, key=str.lower)
    assert {"Skill", "Margin", "TOST", "Seed variance", "Withheld"} <= set(terms)
    for term, meaning in terms.items():
        assert meaning.endswith("."), term
        assert 40 < len(meaning) < 320, term


def test_a_report_has_every_term_folded_and_escaped():
    page = environment().get_template("glossary.html").render()
    assert page.startswith("<details")
    for term in glossary():
        assert f"<dt>{term}</dt>" in html.unescape(page)
