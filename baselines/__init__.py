"""The compared systems, by name. Imports nothing: each module is loaded when its system is first asked for."""

BUILTIN = {
    "bc-lstm": "baselines.recurrent.contextual_lstm:BcLstm",
    "c-lstm": "baselines.recurrent.contextual_lstm:CLstm",
    "coin": "baselines.recurrent.coin:Coin",
    "cosmic": "baselines.recurrent.cosmic:Cosmic",
    "cosmic-no-kb": "baselines.recurrent.cosmic:CosmicNoKb",
    "dag-erc": "baselines.graph.dag_erc:DagErc",
    "dialogue-gcn": "baselines.graph.dialogue_gcn:DialogueGcn",
    "dialogue-llm": "baselines.llm.dialogue_llm:DialogueLLM",
    "dialogue-rnn": "baselines.recurrent.dialogue_rnn:DialogueRnn",
    "few-shot": "baselines.llm.few_shot:FewShot",
    "minilm-logreg": "baselines.utterance.minilm_logreg:MinilmLogreg",
    "majority": "baselines.simple.majority:Majority",
    "rgat": "baselines.graph.rgat:Rgat",
    "stratified": "baselines.simple.stratified:Stratified",
    "tfidf-logreg": "baselines.simple.tfidf_logreg:TfidfLogreg",
    "tfidf-svm": "baselines.simple.tfidf_svm:TfidfSvm",
    "zero-shot": "baselines.llm.zero_shot:ZeroShot",
}
