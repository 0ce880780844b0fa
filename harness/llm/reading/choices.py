"""From likelihoods to a label: choices weighed against each other, and probabilities out of first tokens.

Likelihoods come from a `Response`; everything here is arithmetic in nats. Knows no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from harness.errors import PredictionError
from harness.llm.reading.parsing import Reading
from harness.llm.request import Response
from harness.prompting.label_names import LabelNames

Normalisation = Literal["sum", "token-mean", "byte-mean", "pmi"]
"""What makes long and short labels comparable, see `weigh_choices`."""


def weigh_choices(response: Response, choices: Sequence[str], how: Normalisation) -> tuple[float, ...]:
    """Returns the normalised log-likelihood of each choice, in nats.

    "sum" is the likelihood of the whole continuation, lm-eval's acc; it favours short labels. "token-mean" divides it
    by the number of its tokens, and so depends on the tokenizer. "byte-mean" divides it by the UTF-8 bytes of the
    choice as shown, without the space before it; so does lm-eval's acc_bytes, while its acc_norm divides by characters
    (the same for ASCII). "pmi" subtracts the likelihood given `prompt.premise`; lm-eval's acc_mutual_info subtracts
    the one given nothing.

    Where the prompt, or the header that a chat template ends with, ends in white space, log-likelihoods include that of
    the white space too, as lm-eval's do: it is tokenised with what follows. Its share is the same for all choices where
    it has tokens of its own, and plays no part in "sum" and "pmi" then; but the means divide it by lengths that leave
    it out, which favours long labels. So compare "byte-mean" and "token-mean" among prompts that end alike, and have
    plain prompts end in a word or a colon.

    Args:
        response: an answer in mode "choice".
        choices: names as they were shown, in the order of the request.
        how: the normalisation.

    Raises:
        PredictionError: the response lacks what the normalisation needs.

    Source: Brown et al. 2020 (GPT-3), section 2.4, for the mean over tokens; Holtzman et al. 2021, "Surface Form
    Competition: Why the Highest Probability Answer Isn't Always Right", for pmi with a domain premise; lm-eval 0.4.13,
    `ConfigurableTask.process_results`, for its metrics.
    """
    logprobs = _numbers("choice_logprobs", response.choice_logprobs, choices)
    if how == "sum":
        return logprobs
    if how == "pmi":
        premise = _numbers("premise_logprobs", response.premise_logprobs, choices)
        return tuple(given - alone for given, alone in zip(logprobs, premise, strict=True))
    if how == "token-mean":
        sizes = _numbers("choice_tokens", response.choice_tokens, choices)
    else:
        sizes = tuple(float(len(choice.strip().encode())) for choice in choices)
    if min(sizes) <= 0:
        raise PredictionError(f"a choice of {list(choices)!r} has length 0; {how!r} needs choices that are not empty")
    return tuple(logprob / size for logprob, size in zip(logprobs, sizes, strict=True))


def pick_choice(response: Response, names: LabelNames, how: Normalisation) -> tuple[Reading, dict[str, float] | None]:
    """Returns the likeliest label and the softmax of the weights, by label of the set.

    Weights that are equal to the last bit single out no label, and the order of the label set shall not decide: the
    answer is unparsed under the rule "choice:<how>:tie", with no probabilities. Ties of a working model are rare;
    many of them point to a back end that scores something else than the choices. A weight that is nan or infinite
    (an overflow in half precision) fails this answer alone, under "choice:<how>:not-finite".

    The probabilities are those of the label set only. After "byte-mean" or "token-mean" they are flatter than the
    model's own, which calibration scores will show.

    Raises:
        PredictionError: see `weigh_choices`.
    """
    if response.finish == "error":
        return Reading(None, "failed", "call-failed"), None
    if response.finish == "filter":
        return Reading(None, "refused", "content-filter"), None
    weights = weigh_choices(response, names.shown, how)
    if not all(map(math.isfinite, weights)):
        return Reading(None, "failed", f"choice:{how}:not-finite"), None
    best = max(weights)
    if weights.count(best) > 1:
        return Reading(None, "unparsed", f"choice:{how}:tie"), None
    labels = names.label_set.labels
    return Reading(labels[weights.index(best)], "ok", f"choice:{how}"), _softmax(
        dict(zip(labels, weights, strict=True))
    )


def scores_from_first_token(response: Response, names: LabelNames) -> dict[str, float] | None:
    """Returns probabilities of the labels from the first token of a written answer, None where they cannot be told.

    A token stands for a label if the label's name as shown begins with it, spaces and case aside; tokens of one label
    ("joy", " Joy") add up. None if no first tokens are known, if a token that begins some label begins two, or if some
    label has no token among those that the back end tells: leaving that label out, or calling it 0, would make the
    others look more certain than the model is.
    """
    if not response.first_token_logprobs:
        return None
    shown = dict(zip(names.label_set.labels, (name.casefold() for name in names.shown), strict=True))
    logprobs: dict[str, list[float]] = {label: [] for label in shown}
    for token, logprob in response.first_token_logprobs.items():
        start = token.strip().casefold()
        meant = [label for label, name in shown.items() if start and name.startswith(start)]
        if len(meant) > 1:
            return None
        if meant and math.isfinite(logprob):
            logprobs[meant[0]].append(logprob)
    if not all(logprobs.values()):
        return None
    top = max(value for values in logprobs.values() for value in values)
    return _softmax(
        {label: top + math.log(math.fsum(math.exp(v - top) for v in values)) for label, values in logprobs.items()}
    )


def _numbers(field: str, values: Sequence[float] | None, choices: Sequence[str]) -> tuple[float, ...]:
    """Returns the numbers of a response, one a choice."""
    if values is None or len(values) != len(choices) or not choices:
        raise PredictionError(
            f"{field} {values!r}: expected {len(choices)} numbers, one for each of {list(choices)!r}; "
            "use a back end that scores choices, or -P answers=generate"
        )
    return tuple(map(float, values))


def _softmax(weights: dict[str, float]) -> dict[str, float]:
    top = max(weights.values())
    powers = {label: math.exp(weight - top) for label, weight in weights.items()}
    total = math.fsum(powers.values())
    return {label: power / total for label, power in powers.items()}
