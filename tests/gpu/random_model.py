"""A small model of random weights, of the shape of Qwen3, which every engine knows: it says nothing sensible,
and does all the work of a large one. Its tokenizer is that of the local cloud's tiny model.

Standard library only: the computer that it is made on need not have torch.
"""

from __future__ import annotations

import array
import json
import random
import shutil
import struct
import sys
from pathlib import Path

LAYERS, HIDDEN, HEADS, KEY_VALUE_HEADS, HEAD, INTERMEDIATE, VOCABULARY = 4, 512, 4, 2, 128, 1024, 4096
CONTEXT = 32768

#: Weights repeat after so many, shifted from tensor to tensor.
POOL = 1 << 18


def make(directory: Path, tokenizer: Path) -> None:
    """Makes the model, unless it is there."""
    if (directory / "model.safetensors").exists():
        return
    new = directory.with_name(f".{directory.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for name in ("tokenizer.json", "generation_config.json"):
        shutil.copyfile(tokenizer / name, new / name)
    settings = json.loads((tokenizer / "tokenizer_config.json").read_text())
    settings["model_max_length"] = CONTEXT
    (new / "tokenizer_config.json").write_text(json.dumps(settings))
    (new / "config.json").write_text(json.dumps(config(), indent=1))
    write_weights(new / "model.safetensors")
    shutil.rmtree(directory, ignore_errors=True)
    new.rename(directory)


def config() -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": HEAD,
        "max_position_embeddings": CONTEXT,
        "max_window_layers": LAYERS,
        "use_sliding_window": False,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor by its name in Qwen3's checkpoints."""
    tensors: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        "lm_head.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        of_layer: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (HEADS * HEAD, HIDDEN),
            "self_attn.k_proj": (KEY_VALUE_HEADS * HEAD, HIDDEN),
            "self_attn.v_proj": (KEY_VALUE_HEADS * HEAD, HIDDEN),
            "self_attn.o_proj": (HIDDEN, HEADS * HEAD),
            "self_attn.q_norm": (HEAD,),
            "self_attn.k_norm": (HEAD,),
            "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
            "mlp.up_proj": (INTERMEDIATE, HIDDEN),
            "mlp.down_proj": (HIDDEN, INTERMEDIATE),
            "input_layernorm": (HIDDEN,),
            "post_attention_layernorm": (HIDDEN,),
        }
        tensors.update({f"model.layers.{layer}.{name}.weight": shape for name, shape in of_layer.items()})
    return tensors


def write_weights(path: Path) -> None:
    """A safetensors file: the length of its header, the header as JSON, and the tensors one after another."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    begin = 0
    sizes: dict[str, int] = {}
    for name, shape in shapes().items():
        count = 1
        for length in shape:
            count *= length
        sizes[name] = count
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, begin + 2 * count]}
        begin += 2 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    numbers = random.Random(7)
    pool = array.array("H", (bfloat16(numbers.gauss(0, 0.05)) for _ in range(POOL))).tobytes()
    one = struct.pack("<H", bfloat16(1.0))
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, count in sizes.items():
            if name.endswith("norm.weight"):
                file.write(one * count)
                continue
            shift = 2 * numbers.randrange(POOL)
            length = 2 * count
            repeated = pool * ((shift + length) // len(pool) + 1)
            file.write(repeated[shift : shift + length])


def bfloat16(value: float) -> int:
    """The upper half of a float."""
    return struct.unpack("<I", struct.pack("<f", value))[0] >> 16


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: random_model.py DIRECTORY TOKENIZER_DIRECTORY")
    make(Path(sys.argv[1]), Path(sys.argv[2]))
