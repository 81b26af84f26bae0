"""A sample as CMAF packages it, cut down to what matters: two boxes of ISO 14496-12, `senc` with the
initialization vector and `mdat` with the media, encrypted with AES-128 in counter mode (the scheme
`cenc` of ISO 23001-7)."""

import secrets
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def _counter(key: bytes, iv: bytes) -> Cipher:
    # Eight bytes that are random, and eight that count blocks.
    return Cipher(algorithms.AES128(key), modes.CTR(iv + bytes(8)))


def _box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def encrypt(clear: bytes, key: bytes) -> bytes:
    """The boxes of a clear sample."""
    iv = secrets.token_bytes(8)
    return _box(b"senc", iv) + _box(b"mdat", _counter(key, iv).encryptor().update(clear))


def decrypt(boxes: bytes, key: bytes) -> bytes:
    """The clear sample."""
    found = {}
    while boxes:
        length, name = struct.unpack_from(">I4s", boxes)
        if not 8 <= length <= len(boxes):
            raise ValueError("a box is cut off")
        found[name], boxes = boxes[8:length], boxes[length:]
    return _counter(key, found[b"senc"]).decryptor().update(found[b"mdat"])
