"""Holds manifests against models of Kubernetes' and KEDA's published schemas.

Reads YAML from standard input, documents parted by `---`; prints a list with what is wrong with each: null is nothing.
"""

import json
import sys

import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.kubernetes.autoscaling.v2 import HorizontalPodAutoscaler

MODELS = {
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObject,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): HorizontalPodAutoscaler,
}


def wrong(manifest):
    """What is wrong with one; None: nothing."""
    kind = (manifest.get("apiVersion"), manifest.get("kind"))
    if kind not in MODELS:
        return f"{kind} is none of {sorted(MODELS)}"
    try:
        model = MODELS[kind].model_validate(manifest)
    except ValueError as error:
        return str(error)
    # A field that the schema does not know is left out by the model.
    known = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
    return None if known == manifest else f"the schema knows no more than {known} of {manifest}"


print(json.dumps([wrong(manifest) for manifest in yaml.safe_load_all(sys.stdin)]))
