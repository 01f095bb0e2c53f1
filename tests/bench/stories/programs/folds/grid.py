"""scikit-learn's own grid search, as it is in everybody's notebook: `python grid.py BACKEND JOBS`."""

import contextlib
import json
import os
import sys
import time
import warnings

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

table = np.loadtxt(os.environ["DIGITS"], delimiter=",")
images, labels = table[:, :-1] / 16.0, table[:, -1].astype(int)
values = {"hidden_layer_sizes": [(16,), (32,)], "learning_rate_init": [0.003, 0.01], "alpha": [1e-4, 1e-2]}
warnings.simplefilter("ignore")  # that 15 epochs are too few to settle is as told

backend, jobs = sys.argv[1], int(sys.argv[2])
if backend == "gristmill":
    import gristmill

    gristmill.register_joblib()
with joblib.parallel_config(backend, n_jobs=jobs) if backend != "sequential" else contextlib.nullcontext():
    joblib.Parallel()(joblib.delayed(abs)(number) for number in range(4))  # the workers are there
    search = GridSearchCV(MLPClassifier(max_iter=15, random_state=0), values, cv=10)
    began = time.perf_counter()
    search.fit(images, labels)
found = {"best": str(search.best_params_), "accuracy": search.best_score_}
print(json.dumps({"seconds": time.perf_counter() - began, **found}))
