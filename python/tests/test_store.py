"""What libfrozen-store does: signatures, logs of receipts, stores."""

import hashlib
import json
import os

import pytest

import frozen


@pytest.fixture(scope="session")
def plain(tmp_path_factory, cnn_onnx):
    """Another model than the fixture cnn."""
    path = tmp_path_factory.mktemp("plain") / "plain.fz"
    frozen.freeze(cnn_onnx, path, winograd=False)
    return path


@pytest.fixture
def keys(tmp_path):
    frozen.keygen(tmp_path / "private.pem", tmp_path / "public.pem")
    return tmp_path / "private.pem", tmp_path / "public.pem"


@pytest.fixture(autouse=True)
def library():
    try:
        frozen._library.store()
    except frozen.FileError as error:
        pytest.skip(str(error))


# ---- signatures

def test_only_what_is_signed_is_opened(tmp_path, cnn, keys):
    private, public = keys
    assert private.stat().st_mode & 0o77 == 0
    with pytest.raises(frozen.SignatureError):
        frozen.Model(cnn, signer=public, signature=tmp_path / "nowhere.sig")
    frozen.sign(cnn, private, tmp_path / "m.sig")
    assert (tmp_path / "m.sig").stat().st_size == 64
    frozen.Model(cnn, signer=public, signature=tmp_path / "m.sig").close()
    frozen.Model(cnn.read_bytes(), signer=public, signature=str(tmp_path / "m.sig")).close()
    frozen.keygen(tmp_path / "b.pem", tmp_path / "c.pem")
    with pytest.raises(frozen.SignatureError):
        frozen.Model(cnn, signer=tmp_path / "c.pem", signature=tmp_path / "m.sig")


def test_the_signature_lies_beside_the_model(tmp_path, cnn, keys):
    copy = tmp_path / "copy.fz"
    copy.write_bytes(cnn.read_bytes())
    frozen.sign(copy, keys[0])
    frozen.Model(copy, signer=keys[1]).close()
    with pytest.raises(frozen.FileError):
        frozen.keygen(*keys)
    with pytest.raises(ValueError, match="ed25519"):
        frozen.keygen(tmp_path / "x", tmp_path / "y", kind="rsa")


def test_bundles(tmp_path, cnn):
    private, public, bundle = (tmp_path / name for name in ("k.pem", "p.pem", "m.sig"))
    frozen.keygen(private, public, kind="p256")
    frozen.bundle_sign(cnn, private, bundle)
    assert json.loads(bundle.read_text())["dsseEnvelope"]
    assert frozen.bundle_verify(bundle, public) == hashlib.sha256(cnn.read_bytes()).hexdigest()
    frozen.keygen(tmp_path / "k2.pem", tmp_path / "p2.pem", kind="p256")
    with pytest.raises(frozen.SignatureError):
        frozen.bundle_verify(bundle, tmp_path / "p2.pem")
    with pytest.raises(frozen.FormatError):
        frozen.bundle_verify(cnn, public)


# ---- logs of receipts

def receipts(path, images):
    with frozen.Model(path) as model:
        return [model.run_with_receipt({"input": images[i:i + 1]})[1] for i in range(3)]


def test_log(tmp_path, cnn, images, keys):
    log = frozen.Log(tmp_path / "runs.log")
    lines = receipts(cnn, images)
    heads = [log.append(receipt, keys[0]) for receipt in lines]
    assert log.audit() == (3, heads[2])
    assert log.audit(key=keys[1], head=heads[0]).head == heads[2]
    assert [entry.receipt for entry in log] == lines
    assert [(e.seq, e.digest, e.signed) for e in log.entries(keys[1])] == [
        (i, head, True) for i, head in enumerate(heads)]
    assert list(log)[0].model == json.loads(lines[0])["model"]
    with pytest.raises(frozen.UsageError):
        log.append("{}")
    log.append(lines[0])
    with pytest.raises(frozen.SignatureError):
        log.audit(key=keys[1])


def test_a_changed_log_is_found_out(tmp_path, cnn, images):
    log = frozen.Log(tmp_path / "runs.log")
    heads = [log.append(receipt) for receipt in receipts(cnn, images)]
    lines = log.path.read_bytes().splitlines(keepends=True)
    for changed in (lines[1:], lines[:1] + lines[2:], [lines[1], lines[0], lines[2]]):
        log.path.write_bytes(b"".join(changed))
        with pytest.raises(frozen.CorruptError):
            list(log)
    log.path.write_bytes(b"".join(lines[:2]))
    assert log.audit() == (2, heads[1])
    with pytest.raises(frozen.DigestError):
        log.audit(head=heads[2])


# ---- stores

@pytest.fixture
def store(tmp_path):
    return frozen.Store(tmp_path / "models").init()


def test_store(tmp_path, store, cnn, plain, images):
    first, second = store.put(cnn, "digits"), store.put(plain)
    assert first == hashlib.sha256(cnn.read_bytes()).hexdigest() == store.resolve("digits")
    assert [(item.id, item.tags, item.pinned) for item in store.ls()] == sorted(
        [(first, ("digits",), False), (second, (), False)])
    with store.open("digits") as model, frozen.Model(f"store:{store.folder}:{second}") as other:
        assert (model.id, other.id) == (first, second)
        assert model.run({"input": images[:1]})["logits"].shape == (1, 10)
    store.open(second, map=True).close()
    with pytest.raises(frozen.DigestError):
        frozen.Model(f"store:{store.folder}:digits", expect=second)
    store.get("digits", tmp_path / "copy.fz")
    assert (tmp_path / "copy.fz").read_bytes() == cnn.read_bytes()
    with open(store.path(second), "rb") as blob:
        assert blob.read() == plain.read_bytes()


def test_tags_and_their_history(store, cnn, plain):
    first = store.put(cnn, "live")
    second = store.put(plain, "live")
    assert store.resolve("live") == second and store.rollback("live") == first
    assert [(change.id, change.action) for change in store.history("live")] == [
        (first, "tag"), (second, "tag"), (first, "rollback")]
    store.tag(second, "next")
    assert store.resolve("next") == second
    for call in (lambda: store.rollback("live"), lambda: store.resolve("nothing"),
                 lambda: store.history("nothing")):
        with pytest.raises(frozen.InputValueError):
            call()
    with pytest.raises(ValueError, match="store:DIR:REF"):
        frozen.Model("store:models")


def test_gc_spares_what_is_pinned(store, cnn, plain):
    first, second = store.put(cnn), store.put(plain)
    store.pin(first)
    removed = store.gc()
    assert removed.files >= 1 and removed.size >= plain.stat().st_size
    assert [(item.id, item.pinned) for item in store.ls()] == [(first, True)]
    store.pin(first, False)
    store.gc()
    assert store.ls() == []


def test_fsck(store, cnn):
    store.put(cnn, "digits")
    assert store.fsck() >= 2
    blob = store.path("digits")
    os.chmod(blob, 0o644)
    with open(blob, "r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(frozen.CorruptError) as caught:
        store.fsck()
    assert caught.value.problems
    with pytest.raises(frozen.Error):
        store.open("digits")


def test_a_store_is_made_once(store, cnn):
    with pytest.raises(frozen.FileError):
        frozen.Store(cnn.parent).init()
    with pytest.raises(frozen.Error):
        frozen.Store(store.folder / "nowhere").ls()
