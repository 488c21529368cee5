"""The same statistics by scipy and pymannkendall: a line of JSON in, a line of JSON out, until the input ends."""

import json
import sys

import numpy
import pymannkendall
from scipy import stats
from scipy.spatial.distance import jensenshannon


def trend(case):
    hours, values = numpy.array(case["hours"]), numpy.array(case["values"])
    sen = stats.theilslopes(values, hours, 0.95)
    kendall = pymannkendall.original_test(values)
    return {"slope": sen.slope, "low": sen.low_slope, "high": sen.high_slope, "s": kendall.s, "tau": kendall.Tau,
            "chance": kendall.p}


def spearman(case):
    return {"rho": stats.spearmanr(case["one"], case["other"]).statistic}


def table(case):
    counts = numpy.array(case["counts"])
    capacity = numpy.array(case["capacity"])
    fair = capacity / capacity.sum()
    expected = stats.contingency.expected_freq(counts)
    rows, columns, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    spread = expected * numpy.outer(1 - rows / total, 1 - columns / total)
    return {
        "interaction": stats.chi2_contingency(counts, correction=False, lambda_="log-likelihood").statistic,
        "nodes": stats.power_divergence(columns, total * fair, lambda_="log-likelihood").statistic,
        "residuals": ((counts - expected) / numpy.sqrt(spread)).flatten().tolist(),
    }


def believed(case):
    return {"adjusted": stats.false_discovery_control(case["chances"]).tolist()}


def middle(case):
    values = numpy.array(case["values"])
    return {"median": float(numpy.median(values)), "deviation": float(stats.median_abs_deviation(values, scale="normal"))}


def divergence(case):
    return {"bits": float(jensenshannon(case["one"], case["other"], 2.0) ** 2)}


def normal(case):
    return {"quantile": float(stats.norm.ppf(case["chance"])), "two_sided": float(2 * stats.norm.sf(case["z"]))}


KINDS = {kind.__name__: kind for kind in (trend, spearman, table, believed, middle, divergence, normal)}

for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps(KINDS[case["kind"]](case)), flush=True)
