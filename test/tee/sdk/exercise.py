"""Uses every method of dstack's Python SDK on the socket in argv[1] and prints what came back as JSON."""

import json
import sys

from dstack_sdk import DstackClient

client = DstackClient(sys.argv[1], timeout=30)
digest = "11" * 32


def sign_and_verify(algorithm: str, data: bytes) -> dict:
    signed = client.sign(algorithm, data)
    verify = lambda changed: client.verify(
        algorithm, changed, signed.decode_signature(), signed.decode_public_key()
    ).valid
    return {
        "chain": signed.signature_chain,
        "public_key": signed.public_key,
        "valid": verify(data),
        "changed": verify(data[:-1] + bytes([data[-1] ^ 1])),
    }


tls = client.get_tls_key(
    subject="app",
    alt_names=["app.example"],
    usage_ra_tls=True,
    not_before=1786000000,
    not_after=1790000000,
    with_app_info=True,
)
info = client.info()
quote = client.get_quote(b"hello")
print(
    json.dumps(
        {
            "version": client.version().version,
            "reachable": client.is_reachable(),
            "key": client.get_key("a/b", "signing").model_dump(),
            "ed25519": client.get_key("a/b", "signing", "ed25519").model_dump(),
            "tls": tls.model_dump(),
            "info": info.model_dump(),
            "quote": {"quote": quote.quote, "events": len(quote.decode_event_log())},
            "attestation": client.attest(b"hello").attestation,
            "signed": {
                "secp256k1": sign_and_verify("secp256k1", b"message"),
                "secp256k1_prehashed": sign_and_verify(
                    "secp256k1_prehashed", bytes.fromhex(digest)
                ),
                "ed25519": sign_and_verify("ed25519", b"message"),
            },
        }
    )
)
