"""The compared systems, by name. Imports nothing: each module is loaded when its system is first asked for."""

BUILTIN = {
    "majority": "baselines.simple.majority:Majority",
    "stratified": "baselines.simple.stratified:Stratified",
    "tfidf-logreg": "baselines.simple.tfidf_logreg:TfidfLogreg",
    "tfidf-svm": "baselines.simple.tfidf_svm:TfidfSvm",
}
