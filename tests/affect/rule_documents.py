"""Documents as the FAtiMA Toolkit writes them, and files of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def document(kind: str, root: dict[str, Any]) -> dict[str, Any]:
    """As the toolkit writes it."""
    name = {"EmotionalAppraisal": "EmotionalAppraisal", "EmotionalDecisionMaking": "EmotionalDecisionMaking"}.get(kind, kind)
    types = [{"TypeId": 0, "ClassName": f"{name}.{kind}Asset, {name}, Version=1.4.1.0, Culture=neutral, PublicKeyToken=null"}]
    return {"root": {"classId": 0, **root}, "types": types}


def appraisal(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return document("EmotionalAppraisal", {"Description": None, "AppraisalRules": {"AppraisalWeight": 1, "Rules": list(rules)}, **more})


def rule(event: str, *variables: tuple[Any, ...], when: tuple[str, ...] = (), **old: Any) -> dict[str, Any]:
    said = [{"Name": v[0], "Value": v[1], "Target": v[2] if len(v) > 2 else "-"} for v in variables]
    inner = {"AppraisalVariables": {"AppraisalVariables": said}} if variables else {}
    return {"EventName": event, "Conditions": {"Set": list(when)}, **inner, **old}


def decisions(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return document("EmotionalDecisionMaking", {**more, "ActionTendencies": list(rules)})


def character(name: str, beliefs: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return document("RolePlayCharacter", {"KnowledgeBase": {"Perspective": name, "Knowledge": {"SELF": beliefs or {}}}, **more})


def write(folder: Path, **files: Any) -> Path:
    """Each as name_suffix=document; answers the first one's path."""
    paths = []
    for key, value in files.items():
        name, _, suffix = key.rpartition("_")
        paths.append(folder / f"{name}.{suffix}")
        paths[-1].write_text(value if isinstance(value, str) else json.dumps(value, indent="\t"), encoding="utf-8-sig")
    return paths[0]
