"""frozen.backend: onnx.backend.base.Backend over frozen models. Needs the package onnx."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Union

import numpy
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

from ._model import Model

_DEFAULT_OPSET = 17


class FrozenRep(BackendRep):  # type: ignore[misc]
    """A model that is ready to run."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """INPUTS is a list in the model's order, a dict by name, or one array."""
        values = self.model.inputs
        if isinstance(inputs, dict):
            feed = inputs
        else:
            given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            if len(given) != len(values):
                raise ValueError(f"the model has {len(values)} inputs, not {len(given)}")
            feed = {value.name: array for value, array in zip(values, given)}
        results = self.model.run(feed)
        names = [value.name for value in self.model.outputs]
        return namedtupledict("Outputs", names)(*[results[name] for name in names])  # type: ignore


class FrozenBackend(Backend):  # type: ignore[misc]
    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **_: Any) -> bool:
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: Union[onnx.ModelProto, str, bytes], device: str = "CPU",
                **_: Any) -> FrozenRep:
        if not cls.supports_device(device):
            raise ValueError(f"there is no device {device!r}: frozen models run on the CPU")
        return FrozenRep(Model(model))

    @classmethod
    def run_model(cls, model: Union[onnx.ModelProto, str, bytes], inputs: Any,
                  device: str = "CPU", **_: Any) -> tuple[Any, ...]:
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU",
                 outputs_info: Optional[Sequence[tuple[Any, tuple[int, ...]]]] = None,
                 opset_version: int = _DEFAULT_OPSET, **_: Any) -> tuple[Any, ...]:
        """Runs NODE alone. The results' types are inferred, or given by OUTPUTS_INFO."""
        names = [name for name in node.input if name]
        feed = inputs if isinstance(inputs, dict) else dict(zip(names, inputs))
        arrays = {name: numpy.asarray(array) for name, array in feed.items()}
        return cls.run_model(_model_of(node, arrays, outputs_info, opset_version), arrays, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"


def _model_of(node: onnx.NodeProto, arrays: dict[str, Any],
              outputs_info: Optional[Sequence[tuple[Any, tuple[int, ...]]]],
              opset: int) -> onnx.ModelProto:
    """A model of NODE alone whose inputs have the types and shapes of ARRAYS."""
    inputs = [helper.make_tensor_value_info(name, _onnx_type(array.dtype), array.shape)
              for name, array in arrays.items()]
    names = [name for name in node.output if name]
    if outputs_info is None:
        outputs = [helper.make_empty_tensor_value_info(name) for name in names]
    else:
        outputs = [helper.make_tensor_value_info(name, _onnx_type(numpy.dtype(dtype)), shape)
                   for name, (dtype, shape) in zip(names, outputs_info)]
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, opset)],
                              ir_version=8)
    return model if outputs_info is not None else onnx.shape_inference.infer_shapes(model)


def _onnx_type(dtype: Any) -> int:
    if hasattr(helper, "np_dtype_to_tensor_dtype"):
        return int(helper.np_dtype_to_tensor_dtype(dtype))
    from onnx import mapping
    return int(mapping.NP_TYPE_TO_TENSOR_TYPE[dtype])


is_compatible = FrozenBackend.is_compatible
prepare = FrozenBackend.prepare
run = FrozenBackend.run_model
run_model = FrozenBackend.run_model
run_node = FrozenBackend.run_node
supports_device = FrozenBackend.supports_device
