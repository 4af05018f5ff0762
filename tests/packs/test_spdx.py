"""Licences: ids and expressions of SPDX, with its list of ids at hand and without."""

from __future__ import annotations

import sys

import pytest
from affectrt.packs.spdx import spdx

GOOD = {
    "MIT": "MIT",
    "apache-2.0": "Apache-2.0",
    "mit OR Apache-2.0": "MIT OR Apache-2.0",
    "(MIT AND CC-BY-4.0) OR LicenseRef-mine": "(MIT AND CC-BY-4.0) OR LicenseRef-mine",
    "GPL-2.0-or-later WITH Classpath-exception-2.0": "GPL-2.0-or-later WITH Classpath-exception-2.0",
}
BAD = ("", " ", "My own licence", "MIT Apache-2.0", "MIT,Apache-2.0", "MIT OR", "OR", "(MIT", "MIT)", "()", "none", "NOASSERTION", "ü")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("text", "spelled"), GOOD.items())
def test_what_spdx_has(text: str, spelled: str, listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not listed:
        monkeypatch.setitem(sys.modules, "packaging.licenses", None)
    assert spdx(text) == spelled


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("text", BAD)
def test_what_it_has_not(text: str, listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not listed:
        monkeypatch.setitem(sys.modules, "packaging.licenses", None)
    with pytest.raises(ValueError, match="an SPDX id of a licence") as error:
        spdx(text)
    assert repr(text) in str(error.value)


def test_an_id_that_no_list_has() -> None:
    with pytest.raises(ValueError, match="LicenseRef-NAME"):
        spdx("Apache-2.1")
