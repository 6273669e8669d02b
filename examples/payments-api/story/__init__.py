"""The story of the payments API: sets the stage, lets users in, watches the money, tells what happened."""
