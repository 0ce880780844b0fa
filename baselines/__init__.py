"""The compared systems, by name. Imports nothing: each module is loaded when its system is first asked for."""

BUILTIN = {
    "bc-lstm": "baselines.recurrent.contextual_lstm:BcLstm",
    "c-lstm": "baselines.recurrent.contextual_lstm:CLstm",
    "cauain": "baselines.recurrent.cauain:Cauain",
    "cauain-no-kb": "baselines.recurrent.cauain:CauainNoKb",
    "dialogue-crn": "baselines.recurrent.dialogue_crn:DialogueCrn",
    "dialogue-llm": "baselines.llm.dialogue_llm:DialogueLLM",
    "few-shot": "baselines.llm.few_shot:FewShot",
    "minilm-logreg": "baselines.utterance.minilm_logreg:MinilmLogreg",
    "majority": "baselines.simple.majority:Majority",
    "sacl-lstm": "baselines.recurrent.sacl_lstm:SaclLstm",
    "stratified": "baselines.simple.stratified:Stratified",
    "tfidf-logreg": "baselines.simple.tfidf_logreg:TfidfLogreg",
    "tfidf-svm": "baselines.simple.tfidf_svm:TfidfSvm",
    "zero-shot": "baselines.llm.zero_shot:ZeroShot",
}
