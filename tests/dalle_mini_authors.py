"""Asks the authors' package dalle-mini for the logits of the tiny network in `dalle_minis`; a script, and no test.

It runs in an environment of its own: dalle-mini 0.1.5 with jax 0.4.30, flax 0.8.5, transformers 4.38 and numpy 1.26,
which are newer than it asks for. Prints the logits of all places and codes as JSON.
"""

import json
import sys
import types

import jax
import jax.experimental
import jax.sharding
from dalle_minis import CODES, CONFIG, TEXTS, weights

# What later releases of jax have under other names, and a service that is not needed.
jax.numpy.DeviceArray = jax.Array
jax.experimental.PartitionSpec = jax.sharding.PartitionSpec
sys.modules["wandb"] = types.ModuleType("wandb")


def main() -> None:
    from dalle_mini.model.configuration import DalleBartConfig
    from dalle_mini.model.modeling import DalleBart

    said = {name: value for name, value in CONFIG.items() if name != "codes"}
    config = DalleBartConfig(**said, use_scan=True, gradient_checkpointing=False)
    model = DalleBart(config, dtype=jax.numpy.float32, _do_init=False, input_shape=(1, CONFIG["max_text_length"]))
    mask, params = (TEXTS != 1).astype("int32"), weights()
    encoded = model.encode(TEXTS, mask, params=params)
    decoded = model.decode(CODES, encoded, encoder_attention_mask=mask, params=params)
    sys.stdout.write(json.dumps(decoded.logits.tolist()))


if __name__ == "__main__":
    main()
