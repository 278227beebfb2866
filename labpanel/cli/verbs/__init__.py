"""One module for each verb of `./panel`. Each has:

- `HELP`: one line;
- `add_arguments(parser)`;
- `run(options) -> int`: 0 when done, 1 when refused or failed. An AdapterError, a Failed or a
  Refusal that it raises becomes one sentence on standard error and status 1.
"""
