"""The compared systems, by name. Imports nothing: each module is loaded when its system is first asked for."""

BUILTIN = {
    "bc-lstm": "baselines.recurrent.contextual_lstm:BcLstm",
    "c-lstm": "baselines.recurrent.contextual_lstm:CLstm",
    "cmn": "baselines.memory.cmn:Cmn",
    "dialogue-llm": "baselines.llm.dialogue_llm:DialogueLLM",
    "few-shot": "baselines.llm.few_shot:FewShot",
    "graph-cfc": "baselines.multimodal.graph_cfc:GraphCfc",
    "icon": "baselines.memory.icon:Icon",
    "minilm-logreg": "baselines.utterance.minilm_logreg:MinilmLogreg",
    "majority": "baselines.simple.majority:Majority",
    "mtl": "baselines.recurrent.mtl:Mtl",
    "stratified": "baselines.simple.stratified:Stratified",
    "tfidf-logreg": "baselines.simple.tfidf_logreg:TfidfLogreg",
    "tfidf-svm": "baselines.simple.tfidf_svm:TfidfSvm",
    "zero-shot": "baselines.llm.zero_shot:ZeroShot",
}
