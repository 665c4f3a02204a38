"""Import this first: the rest of the script then runs in a fork of a process that has imported torch.

See polychromic/workflow/fork_server.py.
"""

from polychromic.workflow.fork_server import hand_over

hand_over()
