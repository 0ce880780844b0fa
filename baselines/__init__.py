"""The compared systems, by name. Imports nothing: each module is loaded when its system is first asked for."""

BUILTIN = {
    "bc-lstm": "baselines.recurrent.contextual_lstm:BcLstm",
    "c-lstm": "baselines.recurrent.contextual_lstm:CLstm",
    "cog-bart": "baselines.transformers.cog_bart:CogBart",
    "dialogue-llm": "baselines.llm.dialogue_llm:DialogueLLM",
    "emoberta": "baselines.transformers.emoberta:EmoBerta",
    "few-shot": "baselines.llm.few_shot:FewShot",
    "minilm-logreg": "baselines.utterance.minilm_logreg:MinilmLogreg",
    "majority": "baselines.simple.majority:Majority",
    "stratified": "baselines.simple.stratified:Stratified",
    "textcnn": "baselines.utterance.text_cnn:TextCnn",
    "tfidf-logreg": "baselines.simple.tfidf_logreg:TfidfLogreg",
    "tfidf-svm": "baselines.simple.tfidf_svm:TfidfSvm",
    "todkat": "baselines.transformers.todkat:Todkat",
    "todkat-no-kb": "baselines.transformers.todkat:TodkatNoKb",
    "zero-shot": "baselines.llm.zero_shot:ZeroShot",
}
