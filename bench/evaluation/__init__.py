"""Does an agent that is fully under the attacker's control get anywhere, and does the honest one get its work done?"""
