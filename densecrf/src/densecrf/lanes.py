"""Short vectors of float32 for compiled loops: what a pixel's classes, or a vertex's values, are worked on at once.

A kernel takes ``lanes``, any tuple of that length, and thus is compiled for it: ``load(lanes, array, index)`` gives
``len(lanes)`` neighboring values as one LLVM vector, which has ``+``, ``-``, ``*`` and the functions below. With one
lane it is a plain float32, so that LLVM can vectorise the loop around it. Nothing is fused or reordered.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models

intrinsic: Any = extending.intrinsic

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)


class LanesType(types.Type):
    """Numba's type of ``count`` lanes."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(name=f"Lanes({count})")


@extending.register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, ir.VectorType(_FLOAT, lanes.count))  # type: ignore[no-untyped-call]


def _lanes_type(lanes: Any) -> Any:
    return types.float32 if lanes.count == 1 else LanesType(lanes.count)


def _index_type(index: Any) -> Any:
    return index if isinstance(index, types.Integer) else types.uint64


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic
def load(typing: Any, lanes: Any, array: Any, index: Any) -> Any:
    """The values ``array[index : index + len(lanes)]`` of a contiguous float32 array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, index = arguments
        vector = context.get_value_type(signature.return_type)
        return builder.load(_address(context, builder, signature.args[1], array, index, vector), align=4)

    return _lanes_type(lanes)(lanes, array, _index_type(index)), generate


@intrinsic
def store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    """Set ``array[index : index + count]`` to the lanes of ``value``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, value = arguments
        builder.store(value, _address(context, builder, signature.args[0], array, index, value.type), align=4)
        return context.get_dummy_value()

    return types.void(array, _index_type(index), value), generate


@intrinsic
def splat(typing: Any, lanes: Any, value: Any) -> Any:
    """The float32 in every lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, vector = arguments[1], context.get_value_type(signature.return_type)
        if not isinstance(vector, ir.VectorType):
            return value
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _INT(0))
        return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT, vector.count), [0] * vector.count))

    return _lanes_type(lanes)(lanes, types.float32), generate


@intrinsic
def larger(typing: Any, one: Any, other: Any) -> Any:
    """The maximum, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _larger(builder, *arguments)

    return one(one, other), generate


@intrinsic
def power_of_two(typing: Any, shifted: Any) -> Any:
    """2^k from the float32 k + ROUND_TO_EVEN, whose lowest bits are k; -126 <= k <= 127."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        exponent = builder.shl(builder.bitcast(arguments[0], _INT), _INT(23))
        return builder.bitcast(builder.add(exponent, _INT(127 << 23)), _FLOAT)

    return types.float32(types.float32), generate


def _reduction(name: str, combine: Callable[[Any, Any, Any], Any]) -> Any:
    def reduce(typing: Any, lanes: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (value,) = arguments
            if not isinstance(value.type, ir.VectorType):
                return value
            count = value.type.count
            while count > 1:
                half = ir.VectorType(_INT, count // 2)
                low = builder.shuffle_vector(value, value, ir.Constant(half, list(range(count // 2))))
                high = builder.shuffle_vector(value, value, ir.Constant(half, list(range(count // 2, count))))
                value, count = combine(builder, low, high), count // 2
            return builder.extract_element(value, _INT(0))

        return types.float32(lanes), generate

    reduce.__name__ = name
    return intrinsic(reduce)


def _larger(builder: Any, one: Any, other: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", one, other), one, other)


largest_lane = _reduction("largest_lane", _larger)
"""The maximum of the lanes, whose number is a power of two."""

sum_of_lanes = _reduction("sum_of_lanes", lambda builder, low, high: builder.fadd(low, high))
"""The sum of the lanes, halves first, whose number is a power of two."""


def _arithmetic(symbol: Callable[[Any, Any], Any], instruction: str) -> None:
    @intrinsic
    def combine(typing: Any, one: Any, other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments)

        return one(one, other), generate

    @extending.overload(symbol)
    def _overload(one, other):  # type: ignore[no-untyped-def]  # numba compares its signature with the lambda's
        if isinstance(one, LanesType) and one == other:
            return lambda one, other: combine(one, other)
        return None


for _symbol, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _arithmetic(_symbol, _instruction)
