"""Companies no rule was made for: other trades, languages, formats and ways to name things, with profiles guessed and unread."""
