"""frozen.InferenceSession: the usual API of ONNX Runtime over a frozen model.

Options that choose an execution provider or a level of optimisation are accepted and have no
effect: the plan is fixed when the model is frozen.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Union

from . import _types
from ._custom import Custom
from ._model import Model, Source, Value


class GraphOptimizationLevel(enum.IntEnum):
    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_ALL = 99


class SessionOptions:
    """`intra_op_num_threads` counts (0 means 1 here); any other attribute is kept and unused."""

    def __init__(self) -> None:
        self.intra_op_num_threads = 0
        self.inter_op_num_threads = 0
        self.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_ALL
        self.log_severity_level = 2


@dataclass(frozen=True)
class NodeArg:
    name: str
    type: str
    shape: list[Union[int, str, None]]


@dataclass(frozen=True)
class ModelMetadata:
    producer_name: str = ""
    graph_name: str = ""
    domain: str = ""
    description: str = ""
    graph_description: str = ""
    version: int = 0
    custom_metadata_map: dict[str, str] = field(default_factory=dict)


class InferenceSession:
    """A session over PATH_OR_BYTES, ONNX or frozen. Thread-safe."""

    def __init__(self, path_or_bytes: Source, sess_options: Any = None,
                 providers: Optional[Sequence[Any]] = None,
                 provider_options: Optional[Sequence[Any]] = None, *,
                 custom: Optional[Custom] = None, **_: Any) -> None:
        threads = int(getattr(sess_options, "intra_op_num_threads", 0) or 1)
        self._model = Model(path_or_bytes, threads=threads, custom=custom)
        self._options = sess_options if sess_options is not None else SessionOptions()

    @property
    def model(self) -> Model:
        """The model underneath, for its id and its checks."""
        return self._model

    def run(self, output_names: Optional[Sequence[str]], input_feed: Mapping[str, Any],
            run_options: Any = None) -> list[Any]:
        """The outputs OUTPUT_NAMES, or all for None or an empty list, in that order."""
        results = self._model.run(input_feed, output_names or None)
        return [results[name] for name in output_names or self._model._output_names]

    def get_inputs(self) -> list[NodeArg]:
        return [_node_arg(value) for value in self._model.inputs]

    def get_outputs(self) -> list[NodeArg]:
        return [_node_arg(value) for value in self._model.outputs]

    def get_overridable_initializers(self) -> list[NodeArg]:
        return []

    def get_providers(self) -> list[str]:
        return get_available_providers()

    def get_session_options(self) -> Any:
        return self._options

    def get_modelmeta(self) -> ModelMetadata:
        """What the ONNX file says of itself; keys that are not standard go to the custom map."""
        lines = (self._model.text("metadata") or "").splitlines()
        pairs = dict(line.partition(" ")[::2] for line in lines)
        known = {"producer_name": pairs.pop("producer", ""), "graph_name": pairs.pop("graph", ""),
                 "domain": pairs.pop("domain", ""), "description": pairs.pop("doc_string", "")}
        version = pairs.pop("model_version", "0")
        for key in ("ir_version", "producer_version"):
            pairs.pop(key, None)
        return ModelMetadata(version=int(version) if version.isdigit() else 0,
                             custom_metadata_map=pairs, **known)


def get_available_providers() -> list[str]:
    return ["CPUExecutionProvider"]


def get_device() -> str:
    return "CPU"


def _node_arg(value: Value) -> NodeArg:
    return NodeArg(value.name, _types.tensor_type(value.number), list(value.shape or ()))
