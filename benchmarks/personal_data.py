"""How much personal data the filter `mask_personal_data` finds, and how often it takes something else for it.

    python -m benchmarks.personal_data [--count 1000] [--seed 0]

Each kind is generated in the forms in which people write it, in the middle of a sentence. Phone numbers are random
digits in the usual forms of their country, most of them assigned to nobody, and are looked for with that country as
`region`. Held out, for the patterns were written with those forms in view: the example numbers, fixed and mobile, that
libphonenumber gives of every country, in its styles and in two that people make of them. The last line is one JSON
object with the same figures.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import string
from collections.abc import Callable, Sequence

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from polychromic.data.filters import make_filter

SENTENCES = ("call {} now", "{}", "my number: {}, thanks", "({})", "Tel.{}", "is it {}?", "ask {} or wait.", "A\n{}\nB")
# "#" is any digit, "N" one from 2 to 9.
PHONES = {
    "US": ("N##-N##-####", "(N##) N##-####", "N##.N##.####", "N## N## ####", "1-N##-N##-####", "+1 N## N## ####"),
    "GB": ("020 #### ####", "07### ######", "01### ######", "+44 20 #### ####", "(020) #### ####", "07### ### ###"),
    "DE": ("030 #######", "0171/#######", "0170-#######", "089 / ### ## ##", "+49 (0)30 #######", "0049 171 #######"),
    "FR": ("06 ## ## ## ##", "01.##.##.##.##", "06########", "+33 6 ## ## ## ##", "0033 6########", "+33(0)6########"),
    "IN": ("9#########", "9#### #####", "+91 9#### #####", "09#########", "+91-9#########", "022-########"),
}
INTERNATIONAL = ("+N# ### #######", "+N##-##-#######", "+N# (0) ## ### ## ##", "00N# ## ########", "+N###########")
UNUSUAL = (
    "N##-####",
    "N##N######",
    "030 #####",
    "0 1 7 0 5 # # # # # #",
    "N#-N#-N#-N#",
    "0170 / 55 # # - ###",
    "#######",
)
"""Without an area code, in single digits, or in one run."""
OTHER = (
    "20##-0N-1#", "1#.0N.20##", "20##-1#-1# #####", "$N,###,###.##", "N.###.###,##", "1#:##:##", "v1.##.#.####",
    "192.168.1##.1##", "978-#-##-######-#", "N.##########", "1### to 1###", "N #00 000", "#N%", "ticket 1#####",
)  # fmt: skip
EMAILS = ("{}@{}.org", "{}.{}@mail.example.co.uk", "{}+{}@x.io", "{}_{}@sub.domain.example.com")
HANDLES = ("@{}", "@{}_{}", "＠{}", ".@{}")
HIDDEN = ("{} at {} dot org", "{} (at) {}.org", "{} [at] {} [dot] com", "nought one seven one, {} {}", "Mr {} {}")
"""Written so that no pattern finds it."""


def measure(seed: int, count: int) -> dict[str, dict[str, float]]:
    """{kind: {"found": share that was masked, whole but of what is no phone number, "count"}}. `count` of each kind."""
    rng = random.Random(seed)
    other = _digits(rng, OTHER)
    kinds: dict[str, tuple[str, Callable[[], str]]] = {
        "e-mail addresses": ("US", lambda: _words(rng, EMAILS)),
        "handles": ("US", lambda: _words(rng, HANDLES)),
        **{f"phone numbers, {region}": (region, _digits(rng, forms)) for region, forms in PHONES.items()},
        "international phone numbers": ("US", _digits(rng, INTERNATIONAL)),
        "phone numbers in unusual forms": ("US", _digits(rng, UNUSUAL)),
        "names and disguised addresses": ("US", lambda: _words(rng, HIDDEN)),
        "no phone numbers (dates, amounts, versions, ...)": ("US", other),
    }
    found = {}
    for kind, (region, make) in kinds.items():
        change = make_filter({"filter": "mask_personal_data", "region": region}).change
        test = _is_changed if make is other else _is_masked
        masked = sum(test(change, rng.choice(SENTENCES), make()) for _ in range(count))
        found[kind] = {"found": masked / count, "count": count}
    return found


STYLES: dict[str, Callable[[phonenumbers.PhoneNumber], str]] = {
    "national": lambda number: phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL),
    "national, dots": lambda number: re.sub(r"[ -]+", ".", STYLES["national"](number)),
    "national, in one run": lambda number: re.sub(r"\D", "", STYLES["national"](number)),
    "international": lambda number: phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
    "in one run, +": lambda number: phonenumbers.format_number(number, PhoneNumberFormat.E164),
    "tel: link": lambda number: phonenumbers.format_number(number, PhoneNumberFormat.RFC3966),
    "as dialled from the US": lambda number: phonenumbers.format_out_of_country_calling_number(number, "US"),
    "as dialled from GB": lambda number: phonenumbers.format_out_of_country_calling_number(number, "GB"),
}


def measure_examples(seed: int, regions: Sequence[str] = ()) -> dict[str, dict[str, float]]:
    """{style: as of `measure`}, over the example numbers of the regions, all of them where none is named. Each is
    looked for with its own region."""
    rng = random.Random(seed)
    found = {style: [] for style in STYLES}
    for region in sorted(regions or phonenumbers.SUPPORTED_REGIONS):
        change = make_filter({"filter": "mask_personal_data", "region": region}).change
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
            if number := phonenumbers.example_number_for_type(region, kind):
                for style, write in STYLES.items():
                    found[style].append(_is_masked(change, rng.choice(SENTENCES), write(number)))
    return {style: {"found": sum(hits) / len(hits), "count": len(hits)} for style, hits in found.items()}


def _is_masked(change: Callable[[str], str], sentence: str, secret: str) -> bool:
    """Whether none of its words or digits is left in its place."""
    masked = change(sentence.format(secret))
    rest = sentence.replace("{}", "")
    pieces = re.findall(r"[a-z]{6}", secret) or re.findall(r"\d", secret)
    return masked != sentence.format(secret) and not any(piece in masked for piece in pieces if piece not in rest)


def _is_changed(change: Callable[[str], str], sentence: str, text: str) -> bool:
    return change(sentence.format(text)) != sentence.format(text)


def _words(rng: random.Random, forms: Sequence[str]) -> str:
    form = rng.choice(forms)
    return form.format(*("".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(form.count("{}"))))


def _digits(rng: random.Random, forms: Sequence[str]) -> Callable[[], str]:
    digits = {"#": string.digits, "N": "23456789"}
    return lambda: "".join(rng.choice(digits.get(character, character)) for character in rng.choice(forms))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    measured = measure(options.seed, options.count)
    for kind, row in measured.items():
        print(f"{kind:<50} {row['found']:>7.1%} masked")
    held_out = measure_examples(options.seed)
    for style, row in held_out.items():
        print(f"{'example numbers, ' + style:<50} {row['found']:>7.1%} masked, of {row['count']}")
    print(json.dumps({"benchmark": "personal_data", "measured": measured, "held_out": held_out}))


if __name__ == "__main__":
    main()
