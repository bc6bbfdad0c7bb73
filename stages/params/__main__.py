"""Say what is wrong with params.yaml, or nothing: `python -m stages.params`."""

import sys

from stages import params, paths

if __name__ == "__main__":
    try:
        params.load()
    except params.ParamsError as error:
        sys.exit(str(error))
    paths.write_json(paths.CHECKED, {"params": "valid"})
