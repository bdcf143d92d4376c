"""Every node and model case of the installed onnx package through frozen.backend.

A case passes if each output has the expected type, shape and, within the tolerance that the package
gives, values. It is refused by design if refused.txt names it, with the reason, and the library
refuses it. What not_comparable.txt names is run, and its outputs' types and shapes are compared:
the values come from NumPy's random generator.
"""

import warnings

import cases
import numpy
import pytest
from onnx.backend.test.runner import Runner

import frozen

REFUSED = cases.listed("refused.txt")
NOT_COMPARABLE = cases.listed("not_comparable.txt")


def test_case(case, case_name, request):
    model = cases.model_of(case)
    if case_name in REFUSED:
        with pytest.raises(frozen.UnsupportedError):
            frozen.backend.prepare(model)
        request.node.conformance = "refused by design"
        return
    prepared = attempt(frozen.backend.prepare, model)
    with prepared.model:
        for inputs, expected in cases.data_of(case, model):
            compare(case, case_name, prepared, inputs, expected)
    if case_name in NOT_COMPARABLE:
        request.node.conformance = "not comparable"


def attempt(function, argument):
    """What FUNCTION gives; the library's refusal is the failure's whole text."""
    try:
        return function(argument)
    except frozen.Error as error:
        text = f"{error.name}: {error}"
    pytest.fail(text, pytrace=False)


def compare(case, case_name, prepared, inputs, expected):
    outputs = list(attempt(prepared.run, inputs))
    if case_name in NOT_COMPARABLE:
        assert [kind(value) for value in outputs] == [kind(value) for value in expected]
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attempt_equal(expected, outputs, case)


def attempt_equal(expected, outputs, case):
    try:
        compare_values(list(expected), outputs, case)
        return
    except AssertionError as error:
        text = " ".join(str(error).split())
    pytest.fail(text, pytrace=False)


def compare_values(expected, got, case):
    """The package's own comparison, which takes the tensors of a list for the outputs of a node."""
    if isinstance(expected, list):
        assert isinstance(got, list) and len(got) == len(expected), "a list of another length"
        for one, other in zip(expected, got):
            compare_values(one, other, case)
    elif expected is None:
        assert got is None, "a value instead of none"
    else:
        Runner.assert_similar_outputs([expected], [got], case.rtol, case.atol)


def kind(value):
    if isinstance(value, list):
        return [kind(item) for item in value]
    return numpy.asarray(value).dtype, numpy.shape(value)
