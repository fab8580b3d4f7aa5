from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from ashioto.config import Secret
from ashioto.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-7f3a"


def test_nothing_that_prints_it_shows_it() -> None:
    secret = Secret(text=CANARY)
    assert CANARY not in f"{secret!r} {secret} {[secret]}"
    assert secret.reveal() == CANARY


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(text=CANARY))
    with pytest.raises(TypeError, match="not pickled"):
        copy.copy(Secret(text=CANARY))


def test_a_file_is_read_when_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    secret = Secret(file=file)
    with pytest.raises(ConfigError, match=r"pw cannot be read: No such file"):
        secret.reveal()
    file.write_text(f" {CANARY}\n", encoding="utf-8")
    assert secret.reveal() == CANARY
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="pw holds no secret"):
        secret.reveal()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="pw cannot be read: it is no text"):
        secret.reveal()
