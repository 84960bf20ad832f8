"""The same examples every time, unless `--hypothesis-profile=explore` asks for new ones."""

import torch
from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("steady")
torch.set_num_threads(1)  # the tensors are small; two threads mostly wait for each other
