"""graftwork: transfer learning for image classification, measured honestly.

Importing the package is cheap: nothing here imports torch. What libraries would do over the
network on their own account is switched off before any of them is imported.
"""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
