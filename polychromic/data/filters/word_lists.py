"""Words and phrases that the filters know by default. Short on purpose: a study adds its own in config."""

from __future__ import annotations

SPAM = (
    "airdrop", "free mint", "whitelist spot", "presale", "pump signal", "100x", "1000x",
    "guaranteed profit", "guaranteed returns", "trading signals", "forex signals", "passive income",
    "send me a dm", "dm me", "check my bio", "link in bio", "check out my profile", "follow me",
    "follow back", "follow for follow", "giveaway", "gift card", "promo code", "subscribe to my",
    "my onlyfans", "join our telegram", "join my telegram", "whatsapp me", "click here", "work from home",
    "i am a bot", "this action was performed automatically", "beep boop", "crypto expert",
    "recovered my account", "hacked account recovery", "connect your wallet", "seed phrase", "nft drop",
    "claim your",
)  # fmt: skip
"""Crypto spam, follow trains, self-declared bots: one of these phrases rejects a text."""

GENERIC = (
    "so true", "same", "i agree", "agreed", "totally agree", "could not agree more", "couldn't agree more",
    "exactly", "exactly this", "well said", "good point", "great point", "great post", "nice post",
    "good one", "thank you", "thanks", "thank you so much", "thanks for sharing", "you are right",
    "you're right", "facts", "love this", "love it", "i love this", "amazing", "awesome", "nice", "cool",
    "wow", "great", "good job", "congratulations", "congrats", "happy birthday", "good morning",
    "good night", "have a great day", "have a nice day", "lol", "lmao", "haha", "omg", "yes", "no", "ok",
    "okay", "sure", "of course", "me too", "i know right", "for real", "no way", "sounds good",
    "keep it up", "keep up the good work",
)  # fmt: skip
"""What could be said to anything; the filter weighs the share of a text that these make up."""

STRONG = (
    "fuck", "fucking", "fucked", "fucker", "fuckers", "motherfucker", "shit", "shitty", "bullshit", "cunt",
    "cunts", "bitch", "bitches", "asshole", "assholes", "bastard", "bastards", "dickhead", "prick", "slut",
    "sluts", "whore", "whores", "wanker", "twat", "faggot", "faggots", "fag", "nigger", "niggers", "kike",
    "spic", "chink", "tranny", "retard", "retards", "retarded", "kys", "kill yourself", "hope you die",
    "go die", "subhuman",
)  # fmt: skip
"""Each counts 0.5 towards the toxicity of a text."""

MILD = (
    "damn", "goddamn", "hell", "crap", "crappy", "ass", "arse", "piss", "pissed", "idiot", "idiots",
    "idiotic", "moron", "morons", "stupid", "dumb", "dumbass", "loser", "losers", "pathetic", "scum",
    "shut up", "screw you", "hate you", "jerk", "imbecile",
)  # fmt: skip
"""Each counts 0.2 towards the toxicity of a text."""
