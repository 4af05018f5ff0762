"""From a model and labelled data to a pack: parity, calibration, every variant through its gates, repair of those that fail, a report.

Each step that takes time is kept in a work folder beside the pack (affectrt_export.job), so that a killed export goes on where it was.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence

import onnxruntime
from affectrt import __version__

from affectrt_export import asked, calibrate, checks, data, gate, golden, measure, publish, repair, report
from affectrt_export import variants as known
from affectrt_export.job import Job, digest, digest_of_feeds
from affectrt_export.parity import parity
from affectrt_export.report.record import DataSet, Record
from affectrt_export.request import Request, Result
from affectrt_export.spec import (
    F32,
    Contract,
    Examples,
    ExportError,
    Feeds,
    Finding,
    Latency,
    Layer,
    Maker,
    Model,
    Outcome,
    Progress,
    Repair,
    Tell,
    VariantKind,
)

PARITY_EXAMPLES = 64
FEW_EXAMPLES = 200
"""With fewer that judge the report says how little they prove."""
REFERENCE = "fp32"
# Any of these makes another file of the same model, so that a step kept by another version does not count.
_TOOLS = (__version__, onnxruntime.__version__)


def export(request: Request, progress: Progress | None = None, tell: Tell | None = None) -> Result:
    """Makes, judges and publishes; `tell` hears of each step as it begins.

    Raises ExportError for a model or data that cannot be used, FileExistsError where the pack is there.

    What a gate refuses is no error: it is in the record, and not in the pack. Where a pack is to be replaced, anything refused leaves that
    one as it was, and the report goes to NAME.refused.report, so that the old pack keeps its own.
    """
    name = request.identity.name
    target = request.out / name
    asked.check_target(target, request.replace)
    asked.check_licence(request.license or request.model.license, request.model.name)
    asked.check_judging(request.evaluation is not None, request.bounds)
    kinds = _kinds(request)
    request = _with_golden(request)
    request.out.mkdir(parents=True, exist_ok=True)
    with Job(request.out / f".{name}.work") as job:
        for left in request.out.glob(f".{name}.*.tmp"):  # of an export that was killed as it published
            shutil.rmtree(left, ignore_errors=True)
        try:
            result = _Export(request, kinds, job, progress, tell or _silent).run()
        except ExportError:
            job.remove()  # the same steps would end there again; only what was interrupted can go on
            raise
        job.remove()
    return result


class _Export:
    """One run of `export`."""

    def __init__(self, request: Request, kinds: Sequence[VariantKind], job: Job, progress: Progress | None, tell: Tell) -> None:
        self.request, self.kinds, self.job, self.progress, self.tell = request, kinds, job, progress, tell
        self.model = request.model
        self.notes = [*request.notes, *request.model.notes]
        self.calibration, self.evaluation = self._examples()
        self.data_key = digest_of_feeds(self.evaluation.feeds)

    def run(self) -> Result:
        self.tell(f"{self.request.identity.name}: parity with the source")
        checks.check_network(self.model.onnx, self.model.contract)
        parted = parity(self.model, measure.mixed(self.evaluation.feeds, PARITY_EXAMPLES), self.request.bounds)
        outcomes: list[Outcome] = []
        if all(finding.passed for finding in parted):
            if len(self.evaluation.truth):
                self._calibrate()
            for number, kind in enumerate(self.kinds, 1):
                self.tell(f"{kind.name}: making and judging it ({number} of {len(self.kinds)})")
                outcomes.append(self._outcome(kind, outcomes))
        else:
            self.notes.append("The fp32 network does not answer as the source's framework does, so that no variant was made.")
        return self._publish(parted, outcomes)

    def _examples(self) -> tuple[Examples, Examples]:
        given = self.request.evaluation
        if given is None:
            feeds = [feed for each in publish.feeds_of(self.model.contract, self.request.identity).values() for feed in each]
            self.notes.append("No labelled data was given: accuracy was not judged, and nothing is known of how right the answers are.")
            none = Examples("no labelled data", feeds, _no_truth(self.model.contract))
            return self.request.calibration or none, none
        parts = data.split(given, self.request.calibration, seed=self.request.seed)
        if parts.note:
            self.notes.append(parts.note)
        if (count := len(parts.evaluation)) < FEW_EXAMPLES:
            self.notes.append(
                f"Only {count} examples judge: one answer is {1 / count:.3f} of the accuracy, so that a loss of 0.01 can be neither seen "
                f"nor ruled out. {FEW_EXAMPLES} are the least that say something, a thousand are better."
            )
        absent = data.without_examples(self.model.contract, parts.evaluation)
        if absent:
            self.notes.append(f"No example of {', '.join(absent)}: nothing is known of these classes.")
        return parts.calibration, parts.evaluation

    def _calibrate(self) -> None:
        self.tell(f"the fp32 network on {self.evaluation.name}")
        whole = self._logits(self.model.onnx)
        wrong = data.check_labels(self.model.contract, whole, self.evaluation)
        if wrong:
            raise ExportError(wrong)
        if not self.request.calibrate or self.model.contract.task == "text-pair":  # whose decode has one threshold, the user's
            return
        given = self.calibration
        logits = measure.run(self.model.onnx, given.feeds, self.model.contract.output, progress=self.progress)
        self.model = calibrated(self.model, logits, given)

    def _outcome(self, kind: VariantKind, before: Sequence[Outcome]) -> Outcome:
        files = {outcome.kind.name: outcome.onnx for outcome in before if outcome.onnx is not None}
        base = self.model.onnx
        parent = files.get(kind.parent, base)
        maker = self._kept(kind)
        kind = dataclasses.replace(kind, maker=maker)
        try:
            made = maker(base, self.calibration.feeds, frozenset())
        except ExportError as error:
            return Outcome(kind, None, [Finding("make", False, float("nan"), None, str(error))])
        if kind.name == REFERENCE:
            return self._finished(kind, made, [])
        judge = self._judge(kind, parent)
        findings = judge(made)
        if all(finding.passed for finding in findings):
            return self._finished(kind, made, findings)
        layers = [name for name, _ in known.quantisable(base, kind.name)]
        if not layers:
            return self._finished(kind, None, findings, size_bytes=len(made))
        self.tell(f"{kind.name}: repairing it, since it failed {', '.join(one.gate for one in findings if not one.passed)}")
        saved = repair.repair(
            base,
            kind,
            layers,
            judge,
            self.calibration.feeds,
            first=findings,
            output=self.model.contract.output,
            progress=self.progress,
        )
        self.notes.append(f"{kind.name}: {saved.why}.")
        return self._finished(
            kind,
            saved.onnx,
            saved.findings,
            [Repair((), findings), *saved.repairs],
            saved.sensitivity,
            size_bytes=len(saved.onnx or made),
            of=made,
        )

    def _finished(
        self,
        kind: VariantKind,
        onnx: bytes | None,
        findings: Sequence[Finding],
        repairs: Sequence[Repair] = (),
        sensitivity: Sequence[Layer] = (),
        *,
        size_bytes: int = 0,
        of: bytes | None = None,
    ) -> Outcome:
        shown = onnx or of
        self.notes += [f"{kind.name}: {note}" for note in known.notes_of(onnx or b"")] if onnx else []
        quality = latency = slices = None
        if shown is not None:
            if len(self.evaluation.truth):
                quality = self.request.quality(self.model.contract, self._logits(shown), self.evaluation)
                slices = measure.by_group(self.model.contract, self._logits(shown), self.evaluation)
            if kind.runs_here:
                latency = self._latency(shown)
        return Outcome(kind, onnx, findings, repairs, sensitivity, quality, latency, size_bytes or len(shown or b""), slices)

    def _kept(self, kind: VariantKind) -> Maker:
        """The maker of this kind, each of whose files is kept."""
        own = self.model.makers.get(kind.name, kind.maker)

        def make(model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
            key = digest(_TOOLS, kind.name, model, digest_of_feeds(calibration), sorted(keep), repr(self.request.options))
            return self.job.step(kind.name, key, lambda: own(model, calibration, keep))

        return make

    def _judge(self, kind: VariantKind, parent: bytes) -> Callable[[bytes], list[Finding]]:
        request, contract = self.request, self.model.contract
        bounds = request.bounds

        def judged(model: bytes) -> list[Finding]:
            ratio = None
            try:
                if kind.runs_here and bounds.latency_ratio is not None:
                    ratio = self._ratio(model, parent)
                logits = self._logits(model)
            except ExportError as error:
                return [Finding("run", False, float("nan"), None, str(error))]
            if not len(self.evaluation.truth):
                return gate.judge_cost(
                    kind, size_bytes=len(model), parent_size_bytes=len(parent), ratio=ratio, bounds=bounds, candidate=logits
                )
            return gate.judge(
                kind,
                logits,
                self._logits(self.model.onnx),
                contract,
                self.evaluation,
                size_bytes=len(model),
                parent_size_bytes=len(parent),
                ratio=ratio,
                bounds=bounds,
            )

        return judged

    def _logits(self, model: bytes) -> F32:
        output = self.model.contract.output
        return self.job.array(
            "logits",
            digest(_TOOLS, model, self.data_key, output),
            lambda: measure.run(model, self.evaluation.feeds, output, progress=self.progress),
        )

    def _ratio(self, model: bytes, parent: bytes) -> measure.Ratio:
        threads, feeds = self.request.threads, self.evaluation.feeds
        found = self.job.json(
            "ratio",
            digest(_TOOLS, model, parent, threads, self.data_key),
            lambda: dataclasses.asdict(measure.latency_ratio(model, parent, feeds, threads=threads, progress=self.progress)),
        )
        return measure.Ratio(**found)

    def _latency(self, model: bytes) -> Latency:
        threads, feeds = self.request.threads, self.evaluation.feeds
        found = self.job.json(
            "latency",
            digest(_TOOLS, model, threads, self.data_key),
            lambda: dataclasses.asdict(measure.latency(model, feeds, threads=threads, progress=self.progress)),
        )
        return Latency(**found)

    def _publish(self, parted: Sequence[Finding], outcomes: Sequence[Outcome]) -> Result:
        request, identity = self.request, self.request.identity
        wanted = sorted((o for o in outcomes if o.kind.name in request.variants), key=lambda o: request.variants.index(o.kind.name))
        if outcomes and REFERENCE not in request.variants:
            self.notes.append("fp32 is what the others were held against; the pack does not carry it.")
        sets = [DataSet("calibration", self.calibration.name, len(self.calibration))]
        if len(self.evaluation.truth):
            sets.append(DataSet("validation", self.evaluation.name, len(self.evaluation)))
        stays = request.out / identity.name
        if stays.exists() and not (outcomes and all(outcome.published for outcome in outcomes)):
            self.notes.append("A pack of this name was there and stays as it was: nothing of this export was published.")
            record = self._record(parted, outcomes, sets, ())
            place = request.out / f"{identity.name}.refused.report"
            report.write(record, place)
            return Result(None, place, record, kept=stays)
        self.tell("writing the pack, replaying it, and the report")
        record = self._record(parted, outcomes, sets, request.variants)
        place = request.out / f"{identity.name}.report"
        fp32 = next((outcome.quality for outcome in outcomes if outcome.kind.name == REFERENCE), None)
        pack = publish.publish(
            request.out,
            self.model,
            identity,
            wanted,
            fp32=fp32,
            license=request.license,
            replace=request.replace,
            before=lambda: report.write(record, place),
        )
        if pack is None:
            report.write(record, place)
        return Result(pack, place, record)

    def _record(self, parted: Sequence[Finding], outcomes: Sequence[Outcome], sets: Sequence[DataSet], carried: Sequence[str]) -> Record:
        request, name = self.request, self.request.identity.name
        return Record.of(
            self.model,
            outcomes,
            command=request.command or request.identity.command,
            bounds=request.bounds,
            parity=parted,
            data=sets,
            seeds={"split": request.seed},
            license=request.license,
            name=name,
            notes=self.notes,
            carried=carried,
        )


def calibrated(model: Model, logits: F32, given: Examples) -> Model:
    """The model with a temperature, or with scale, offset and threshold of each label, and a bound for "unknown", fitted on `given`.

    logits (N, labels) of `model.onnx` on `given`. A family that makes variants in its own way keeps its network, and gets thresholds only.
    """
    decode = dict(model.contract.decode)
    onnx = model.onnx
    if model.contract.multi_label:
        if not model.makers:
            fit = calibrate.platt(logits, given.truth)
            onnx = calibrate.fold(onnx, fit.scale, fit.offset, model.contract.output)
            logits = fit(logits)
        probs = measure.probabilities(model.contract, logits)
        decode["thresholds"] = [float(value) for value in calibrate.thresholds(probs, given.truth)]
    elif decode["kind"] == "softmax":
        decode["temperature"] = calibrate.temperature(logits, given.truth)
    contract = dataclasses.replace(model.contract, decode=decode)
    probs = measure.probabilities(contract, logits)
    decode["unknown_below"] = calibrate.unknown_below(probs, given.truth, decode.get("thresholds") or None).below
    return dataclasses.replace(model, onnx=onnx, contract=dataclasses.replace(contract, decode=decode), reference=None)


def _silent(step: str) -> None:
    """Nobody listens."""


def _no_truth(contract: Contract) -> data.Bools:
    import numpy as np

    return np.zeros((0, len(contract.labels)), np.bool_)


def _with_golden(request: Request) -> Request:
    """The request with golden texts that the tokenizer reads. ExportError where there are none."""
    contract, identity = request.model.contract, request.identity
    if contract.inputs[0]["kind"] != "text":
        return request
    texts, note = golden.choose(contract, identity.sentences, (request.evaluation, request.calibration))
    identity = dataclasses.replace(identity, sentences=texts)
    return dataclasses.replace(request, identity=identity, notes=[*request.notes, *([note] if note else [])])


def _kinds(request: Request) -> list[VariantKind]:
    """The kinds asked for, parents before their children, and always the reference."""
    there = {kind.name: kind for kind in known.kinds(request.model.convolutional, request.options)}
    unknown = [name for name in request.variants if name not in there]
    if unknown or not request.variants:
        raise ExportError(f"variants of {', '.join(there)} were expected, got {', '.join(unknown) or 'none'}")
    wanted = {REFERENCE, *request.variants}
    return [kind for kind in there.values() if kind.name in wanted]
