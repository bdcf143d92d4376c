"""Trained models and pipelines, converted: the library against ONNX Runtime and against what the
models themselves predict."""

import warnings

import numpy
import onnx
import onnxruntime
import pytest

import frozen

skl2onnx = pytest.importorskip("skl2onnx")

from skl2onnx.common.data_types import (  # noqa: E402
    DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType)
from sklearn import (  # noqa: E402
    cluster, compose, datasets, decomposition, ensemble, feature_selection, impute,
    linear_model, naive_bayes, neighbors, neural_network, pipeline, preprocessing, svm,
    tree)
from sklearn.feature_extraction import text  # noqa: E402

RANGE = 1e-5
OPSETS = {"": 18, "ai.onnx.ml": 3}


def data(classes=3, n=200, features=8):
    x, y = datasets.make_classification(n, features, n_informative=5, n_classes=classes,
                                        random_state=1)
    return x.astype(numpy.float32), y


def converted(model, kind, **options):
    return skl2onnx.to_onnx(model, initial_types=[("X", kind)], target_opset=OPSETS,
                            **options).SerializeToString()


def run_both(proto, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto, options, ["CPUExecutionProvider"])
    with frozen.Model(proto) as model:
        return session.run(None, feeds), list(model.run(feeds).values())


def assert_close(want, got, tolerance):
    if isinstance(want, list):  # of maps
        assert isinstance(got, list) and len(want) == len(got)
        assert [list(row) for row in want] == [list(row) for row in got]
        want, got = ([list(row.values()) for row in rows] for rows in (want, got))
    want, got = numpy.asarray(want), numpy.asarray(got)
    assert want.shape == got.shape
    if want.dtype.kind != "f":
        assert (want == got).all()
        return
    limit = tolerance * max(abs(want).max(), want.max() - want.min())
    assert abs(want.astype(float) - got.astype(float)).max() <= limit


def check(model, proto, x, feeds=None, tolerance=RANGE, predict="predict"):
    theirs, ours = run_both(proto, feeds or {"X": x})
    assert len(theirs) == len(ours)
    for want, got in zip(theirs, ours):
        assert_close(want, got, tolerance)
    predicted = numpy.asarray(getattr(model, predict)(x))
    if predicted.dtype.kind == "f":
        assert_close(predicted.reshape(ours[0].shape).astype(numpy.float32), ours[0], 1e-4)
    else:
        assert (predicted == numpy.asarray(ours[0]).reshape(predicted.shape)).mean() >= 0.99


CLASSIFIERS = {
    "tree": tree.DecisionTreeClassifier(max_depth=6),
    "forest": ensemble.RandomForestClassifier(30, max_depth=8, random_state=1),
    "extra trees": ensemble.ExtraTreesClassifier(20, random_state=1),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=20, random_state=1),
    "bagging": ensemble.BaggingClassifier(tree.DecisionTreeClassifier(max_depth=4), 5,
                                          random_state=1),
    "logistic": linear_model.LogisticRegression(max_iter=500),
    "sgd": linear_model.SGDClassifier(random_state=1),
    "linear svm": svm.LinearSVC(),
    "rbf svm": svm.SVC(kernel="rbf"),
    "poly svm": svm.SVC(kernel="poly", degree=2),
    "neighbours": neighbors.KNeighborsClassifier(5),
    "bayes": naive_bayes.GaussianNB(),
    "perceptrons": neural_network.MLPClassifier((16,), max_iter=300, random_state=1)}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("maps", [True, False])
def test_classifier(name, classes, maps):
    x, y = data(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CLASSIFIERS[name].fit(x, y)
    proto = converted(model, FloatTensorType([None, x.shape[1]]),
                      options={id(model): {"zipmap": maps}} if name not in ("linear svm", "sgd",
                                                                             "rbf svm", "poly svm")
                      else None)
    check(model, proto, x[:60])


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_of_support_vectors(kernel, classes):
    x, y = data(classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = svm.SVC(kernel=kernel, probability=True, random_state=1).fit(x, y)
    proto = converted(model, FloatTensorType([None, x.shape[1]]),
                      options={id(model): {"zipmap": False}})
    check(model, proto, x[:60], tolerance=1e-4)
    with frozen.Model(proto) as ours:
        assert_close(model.predict_proba(x[:60]).astype(numpy.float32),
                     list(ours.run({"X": x[:60]}).values())[1], 1e-4)


@pytest.mark.parametrize("name", ["logistic", "bayes", "rbf svm", "forest"])
def test_words_as_labels(name):
    x, y = data(3)
    words = numpy.array(["low", "mean", "high"])[y]
    model = CLASSIFIERS[name].fit(x, words)
    check(model, converted(model, FloatTensorType([None, x.shape[1]])), x[:60])


REGRESSORS = {
    "linear": linear_model.LinearRegression(),
    "ridge": linear_model.Ridge(),
    "tree": tree.DecisionTreeRegressor(max_depth=6),
    "forest": ensemble.RandomForestRegressor(20, max_depth=7, random_state=1),
    "boosting": ensemble.GradientBoostingRegressor(n_estimators=20, random_state=1),
    "rbf svm": svm.SVR(kernel="rbf"),
    "linear svm": svm.SVR(kernel="linear"),
    "neighbours": neighbors.KNeighborsRegressor(5),
    "perceptrons": neural_network.MLPRegressor(hidden_layer_sizes=(16,), max_iter=300, random_state=1)}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressor(name):
    x, _ = data()
    y = x[:, 0] * 2 + numpy.sin(x[:, 1]) + 0.1 * x[:, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = REGRESSORS[name].fit(x, y)
    check(model, converted(model, FloatTensorType([None, x.shape[1]])), x[:60])


TRANSFORMS = {
    "standard": preprocessing.StandardScaler(),
    "robust": preprocessing.RobustScaler(),
    "range": preprocessing.MinMaxScaler(),
    "l2": preprocessing.Normalizer("l2"),
    "l1": preprocessing.Normalizer("l1"),
    "binary": preprocessing.Binarizer(threshold=0.3),
    "bins": preprocessing.KBinsDiscretizer(4, encode="onehot-dense"),
    "powers": preprocessing.PolynomialFeatures(2),
    "components": decomposition.PCA(3),
    "best": feature_selection.SelectKBest(k=4),
    "pipeline": pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler(),
                                       decomposition.PCA(4))}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transform(name):
    x, y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TRANSFORMS[name].fit(x, y)
    check(model, converted(model, FloatTensorType([None, x.shape[1]])), x[:60],
          predict="transform")


def test_missing_values():
    x, y = data()
    x[::7, 2] = numpy.nan
    model = pipeline.make_pipeline(impute.SimpleImputer(strategy="median"),
                                   linear_model.LogisticRegression(max_iter=500)).fit(x, y)
    check(model, converted(model, FloatTensorType([None, x.shape[1]])), x[:60])


@pytest.mark.parametrize("unknown", ["ignore", "error"])
def test_one_hot_words(unknown):
    words = numpy.array([["red", "s"], ["green", "m"], ["blue", "l"], ["red", "l"]], dtype=object)
    model = preprocessing.OneHotEncoder(handle_unknown=unknown, sparse_output=False).fit(words)
    proto = converted(model, StringTensorType([None, 2]))
    theirs, ours = run_both(proto, {"X": words})
    assert_close(theirs[0], ours[0], 0)
    assert_close(model.transform(words).astype(numpy.float32), ours[0], 0)
    other = numpy.array([["black", "s"]], dtype=object)
    with frozen.Model(proto) as frozen_model:
        if unknown == "ignore":
            assert_close(model.transform(other).astype(numpy.float32),
                         list(frozen_model.run({"X": other}).values())[0], 0)
        else:
            with pytest.raises(frozen.Error, match="no category"):
                frozen_model.run({"X": other})


def test_labels():
    model = preprocessing.LabelEncoder().fit(["a", "b", "c"])
    x = numpy.array([["b"], ["a"], ["c"], ["b"]], dtype=object)
    theirs, ours = run_both(converted(model, StringTensorType([None, 1])), {"X": x})
    assert_close(theirs[0], ours[0], 0)
    assert (model.transform(x.ravel()) == numpy.asarray(ours[0]).ravel()).all()


def test_columns():
    """Numbers and words in columns of their own."""
    numbers = numpy.random.default_rng(1).normal(size=(80, 2)).astype(numpy.float32)
    colours = numpy.random.default_rng(2).integers(0, 3, (80, 1)).astype(numpy.int64)
    x = numpy.concatenate([numbers, colours], 1)
    y = (numbers[:, 0] + colours[:, 0] > 1).astype(int)
    model = pipeline.make_pipeline(
        compose.ColumnTransformer([("numbers", preprocessing.StandardScaler(), [0, 1]),
                                   ("colours", preprocessing.OneHotEncoder(), [2])]),
        ensemble.RandomForestClassifier(10, max_depth=4, random_state=1)).fit(x, y)
    proto = skl2onnx.to_onnx(model, initial_types=[("numbers", FloatTensorType([None, 2])),
                                                   ("colours", Int64TensorType([None, 1]))],
                             target_opset=OPSETS).SerializeToString()
    check(model, proto, x, {"numbers": numbers, "colours": colours})


def test_clusters():
    x, _ = data()
    model = cluster.KMeans(4, n_init=2, random_state=1).fit(x)
    check(model, converted(model, FloatTensorType([None, x.shape[1]])), x[:60])


# ---- text

TEXTS = numpy.array(["This is the first document.", "This document is the second document.",
                     "And this is the third one; it costs 5 euros", "Is this the first document?",
                     "naïve façades don't stop", "", "a b cc dd"], object)
VECTORISERS = {
    "counts": text.CountVectorizer(), "tf-idf": text.TfidfVectorizer(),
    "pairs of words": text.CountVectorizer(ngram_range=(1, 2)),
    "logarithms": text.TfidfVectorizer(sublinear_tf=True, norm="l1"),
    "present": text.CountVectorizer(binary=True),
    "without stop words": text.CountVectorizer(stop_words=["is", "the"]),
    "case counts": text.CountVectorizer(lowercase=False),
    "characters": text.CountVectorizer(analyzer="char", ngram_range=(1, 2)),
    "another pattern": text.CountVectorizer(token_pattern="[a-z0-9]+")}


def without_locale(proto):
    """ONNX Runtime asks the system for a locale, en_US unless the model names one, which may not be
    installed; the library needs none."""
    model = onnx.load_from_string(proto)
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            node.attribute.append(onnx.helper.make_attribute("locale", "C.UTF-8"))
    return model.SerializeToString()


def check_text(model, proto, predict, tolerance=RANGE):
    feeds = {"X": TEXTS.reshape(-1, 1)}
    theirs, _ = run_both(without_locale(proto), feeds)
    with frozen.Model(proto) as ours:
        got = list(ours.run(feeds).values())
    for want, have in zip(theirs, got):
        assert_close(want, have, tolerance)
    predicted = getattr(model, predict)(TEXTS)
    return predicted.toarray() if hasattr(predicted, "toarray") else predicted, got


# The converter writes a word as letters that ASCII has, takes words of one letter into pairs, and
# adds 1 to the logarithm of what is absent: there the library does as ONNX Runtime does.
PLAIN = [i for i, t in enumerate(TEXTS) if t.isascii()]


@pytest.mark.parametrize("name", VECTORISERS)
def test_vectoriser(name):
    model = VECTORISERS[name].fit(TEXTS)
    predicted, got = check_text(model, converted(model, StringTensorType([None, 1])), "transform")
    if name not in ("pairs of words", "logarithms"):
        assert_close(predicted[PLAIN].astype(numpy.float32), got[0][PLAIN], 1e-5)


@pytest.mark.parametrize("separators", [None, [" ", "[.]", "\\?", ","]])
def test_tokens(separators):
    model = text.CountVectorizer().fit(TEXTS)
    option = {"tokenexp": None} if separators is None else {"separators": separators}
    check_text(model, converted(model, StringTensorType([None, 1]), options={id(model): option}),
               "transform")


@pytest.mark.parametrize("last", [linear_model.LogisticRegression(), naive_bayes.MultinomialNB(),
                                  linear_model.SGDClassifier(random_state=1)])
def test_text_pipeline(last):
    y = numpy.array([0, 1, 0, 1, 1, 0, 0])
    first = (text.CountVectorizer(), text.TfidfTransformer()) if hasattr(
        last, "loss") else (text.TfidfVectorizer(),)
    model = pipeline.make_pipeline(*first, last).fit(TEXTS, y)
    predicted, got = check_text(model, converted(model, StringTensorType([None, 1])), "predict")
    assert (predicted[PLAIN] == got[0][PLAIN]).all()


# ---- float64

DOUBLES = {
    "linear": linear_model.LinearRegression(), "ridge": linear_model.Ridge(),
    "scaler": preprocessing.StandardScaler(), "range": preprocessing.MinMaxScaler(),
    "components": decomposition.PCA(3), "neighbours": neighbors.KNeighborsRegressor(5),
    "imputer": impute.SimpleImputer()}


@pytest.mark.parametrize("name", DOUBLES)
def test_float64(name):
    x, _ = data()
    x = x.astype(numpy.float64)
    model = DOUBLES[name].fit(x, x[:, 0] * 2 + numpy.sin(x[:, 1]))
    proto = converted(model, DoubleTensorType([None, x.shape[1]]))
    predict = "predict" if hasattr(model, "predict") else "transform"
    with frozen.Model(proto) as ours:
        got = list(ours.run({"X": x[:60]}).values())[0]
    wanted = getattr(model, predict)(x[:60]).reshape(got.shape)
    assert got.dtype == numpy.float64 and abs(wanted - got).max() <= 1e-6 * abs(wanted).max()
    if name != "imputer":  # which ONNX Runtime has for float32 only
        check(model, proto, x[:60], predict=predict)


# ---- LightGBM and XGBoost

def boosted(library):
    onnxmltools = pytest.importorskip("onnxmltools")
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats
    return pytest.importorskip(library), onnxmltools, [("X", Floats([None, 8]))]


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_lightgbm(classes):
    library, onnxmltools, types = boosted("lightgbm")
    x, y = data(max(2, classes))
    options = dict(n_estimators=20, num_leaves=15, verbose=-1)
    model = (library.LGBMRegressor(**options).fit(x, x[:, 0] * 2 + x[:, 1]) if classes == 1
             else library.LGBMClassifier(**options).fit(x, y))
    x[::9, 0] = numpy.nan
    proto = onnxmltools.convert_lightgbm(model, initial_types=types, target_opset=15)
    check(model, proto.SerializeToString(), x[:60])


@pytest.mark.parametrize("classes", [1, 2, 3])
def test_xgboost(classes):
    library, onnxmltools, types = boosted("xgboost")
    x, y = data(max(2, classes))
    options = dict(n_estimators=20, max_depth=5, n_jobs=1)
    model = (library.XGBRegressor(**options).fit(x, x[:, 0] * 2 + x[:, 1]) if classes == 1
             else library.XGBClassifier(**options).fit(x, y))
    x[::9, 0] = numpy.nan
    proto = onnxmltools.convert_xgboost(model, initial_types=types, target_opset=15)
    check(model, proto.SerializeToString(), x[:60])
