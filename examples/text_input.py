"""Study and select token sequences: inputs need not be images."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ntk_aug import coreset, data, spectrum

GOOD, BAD = ["good", "fine", "great", "lovely"], ["bad", "poor", "awful", "dull"]
WORDS = ["<none>", "the", "film", "was", "a", "plot", "with", "very", "actors", *GOOD, *BAD]


class TextNet(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        words = nn.Embed(len(WORDS), 16)(tokens) * (tokens > 0)[..., None]
        return nn.Dense(2)(nn.tanh(nn.Dense(32)(words.mean(axis=1))))


# Made sentences of eight words; the class is that of the majority of their good and bad words.
random = np.random.default_rng(0)
tokens = random.integers(1, len(WORDS), size=(400, 8)).astype(np.int32)
score = (tokens >= 13).sum(axis=1) - ((tokens >= 9) & (tokens < 13)).sum(axis=1)
tokens, labels = tokens[score != 0], (score[score != 0] > 0).astype(np.int32)
reviews = data.Dataset.from_arrays(tokens, np.array(["good", "bad"])[labels])

module, optimizer = TextNet(), optax.adam(0.02)
variables = module.init(jax.random.key(0), tokens[:1])
state = optimizer.init(variables)


@jax.jit
def step(variables, state):
    def loss(variables):
        logits = module.apply(variables, reviews.images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, reviews.labels).mean()

    updates, state = optimizer.update(jax.grad(loss)(variables), state)
    return optax.apply_updates(variables, updates), state


for _ in range(60):
    variables, state = step(variables, state)


def drop_a_word(key, tokens):
    return tokens.at[jax.random.randint(key, (), 0, len(tokens))].set(0)


study = spectrum.study_spectrum(
    0, (module, variables), jnp.asarray(tokens[:60]), {"drop a word": drop_a_word}, num_bins=6
)
change = spectrum.summarize_study(study)[0].bins["relative_difference"].mean
print("change of singular values (%), by bin:", np.round(100 * change).astype(int))
subset = coreset.select(0, coreset.network_examples((module, variables), reviews), count=6)
for i in np.argsort(-subset.weights)[:2]:
    print(f"stands for {subset.weights[i]:.0f}:", " ".join(WORDS[token] for token in tokens[i]))
