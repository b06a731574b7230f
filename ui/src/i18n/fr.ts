// French. Narrow no-break spaces (U+202F) stand before ; ! ? and no-break spaces before : as French typography asks.

import type { Dictionary } from "./en";
import { formats } from "./formats";
import { models } from "./fr.models";
import { monitor } from "./fr.monitor";
import { settings } from "./fr.settings";

const locale = "fr";
const { integer, decimal, percent, duration, plural, date } = formats(locale);

export const fr: Dictionary = {
  locale,
  models,
  monitor,
  settings,
  app: {
    newChat: "Nouvelle discussion",
    details: "Détails",
    copy: "Copier",
    copied: "Copié",
    cancel: "Annuler",
    close: "Fermer",
    dismiss: "Masquer",
    undo: "Annuler",
    done: "Terminé",
  },
  nav: {
    label: "Pages",
    chat: "Discussion",
    monitor: "Moniteur",
    models: "Modèles",
    settings: "Réglages",
    shortcuts: "Raccourcis clavier",
  },
  sidebar: {
    label: "Discussions",
    show: "Afficher les discussions",
    hide: "Masquer les discussions",
    search: "Rechercher",
    searchLabel: "Rechercher dans les discussions",
    clear: "Effacer la recherche",
    empty: "Vos discussions apparaissent ici.",
    nothingFound: (query) => `Rien trouvé pour « ${query} ».`,
    found: (count) =>
      plural(count, { one: `${integer(count)} discussion trouvée`, other: `${integer(count)} discussions trouvées` }),
    today: "Aujourd’hui",
    yesterday: "Hier",
    week: "7 derniers jours",
    older: "Plus anciennes",
    untitled: "Nouvelle discussion",
    answering: "Une réponse est en cours",
    actions: (title) => `Actions pour « ${title} »`,
    rename: "Renommer",
    titleLabel: "Titre de la discussion",
    exportMarkdown: "Exporter en Markdown…",
    exportJson: "Exporter en JSON…",
    remove: "Supprimer",
    removeHint:
      "Les discussions supprimées sont effacées du fichier au bout d’une demi-minute. Les sauvegardes faites avant les gardent jusqu’à ce que trois plus récentes aient été faites.",
    deleted: (title) => `« ${title} » a été supprimée.`,
    exported: (name) => `Enregistrée sous ${name}.`,
  },
  store: {
    text: (notice) => {
      switch (notice.type) {
        case "restored":
          return `Vos discussions étaient abîmées. Workly a repris la copie du ${date(new Date(notice.backup_ms))} ; ce qui a été dit depuis manque. Le fichier abîmé a été conservé sous ${notice.kept_as}.`;
        case "salvaged": {
          const read = plural(notice.messages, { one: "1 message a pu être lu", other: `${integer(notice.messages)} messages ont pu être lus` });
          const rest =
            notice.backup_ms === null
              ? "il n’y avait pas de copie pour le reste"
              : `ce qui manquait vient de la copie du ${date(new Date(notice.backup_ms))}`;
          return `Vos discussions étaient abîmées. ${read} ; ${rest}. Vérifiez vos dernières discussions. Le fichier abîmé a été conservé sous ${notice.kept_as}.`;
        }
        case "emptied":
          return `Vos discussions étaient abîmées, rien n’a pu en être lu et il n’y avait pas de copie. Le fichier abîmé a été conservé sous ${notice.kept_as}.`;
        case "missing":
          return `Le fichier de vos discussions avait disparu. Workly a repris la copie du ${date(new Date(notice.backup_ms))} ; ce qui a été dit depuis manque. Si vous avez déplacé le fichier, fermez Workly et remettez-le à sa place.`;
        case "not_kept":
          return `Le fichier de vos discussions ne peut pas être ouvert : ${notice.details}. Vérifiez que le disque a de la place et que Workly peut y écrire. Workly continue d’essayer ; ce qui est dit entre-temps est perdu si Workly est fermé avant.`;
        case "in_use":
          return "Un autre Workly utilise ce dossier : les discussions de cette fenêtre ne sont pas conservées tant que vous ne fermez pas l’autre.";
        case "not_saved":
          return `Ce qui est dit maintenant n’a pas pu être enregistré : ${notice.details}. Faites de la place ou fermez le programme qui retient le fichier ; Workly garde le texte et continue d’essayer.`;
        case "saved":
          return "Tout ce qui a été dit est de nouveau enregistré.";
      }
    },
    copyFile: "Copier le nom du fichier",
  },
  conversation: {
    title: "Cette discussion",
    open: "Consignes et échantillonnage",
    systemPrompt: "Consignes",
    systemPromptHint: "Le message système : ce que le modèle lit avant tout le reste.",
    systemPromptPlaceholder: "Tu réponds en deux phrases au plus.",
    sampling: "Échantillonnage",
    temperature: "Température",
    temperatureHint: "0 prend toujours le mot le plus probable ; plus haut, c’est plus libre.",
    topP: "Top-p",
    topPHint: "Seulement les mots les plus probables qui atteignent ensemble cette part.",
    topK: "Top-k",
    topKHint: "Seulement ce nombre de mots les plus probables ; 0 pour tous.",
    minP: "Min-p",
    minPHint: "Seulement les mots au moins aussi probables, face au plus probable.",
    repeatPenalty: "Pénalité de répétition",
    repeatPenaltyHint: "Au-dessus de 1, le modèle se répète moins.",
    maxTokens: "Réponse la plus longue",
    maxTokensHint: "En jetons. Vide : aussi longue qu’il faut.",
    seed: "Graine",
    seedHint: "La même graine donne la même réponse. Vide : une nouvelle à chaque fois.",
    unlimited: "sans limite",
    random: "au hasard",
    reset: "Valeurs par défaut",
  },
  context: {
    used: (used, total) => `${integer(used)} / ${integer(total)} jetons`,
    usedAbout: (used, total) => `≈ ${integer(used)} / ${integer(total)} jetons`,
    about:
      "La part du contexte du modèle que prend cette discussion. Quand il est plein, les échanges les plus anciens sont laissés de côté.",
  },
  branch: {
    previous: "Version précédente",
    next: "Version suivante",
    place: (number, count) => `${integer(number)}/${integer(count)}`,
  },
  shortcuts: {
    title: "Raccourcis clavier",
    send: "Envoyer le message",
    newLine: "Aller à la ligne",
    stop: "Arrêter la réponse",
    newChat: "Nouvelle discussion",
    search: "Rechercher dans les discussions",
    copyLast: "Copier la dernière réponse",
    regenerate: "Répondre à nouveau",
    editLast: "Modifier le dernier message (dans un champ vide)",
    previous: "Discussion précédente",
    next: "Discussion suivante",
    rename: "Renommer la discussion",
    sidebar: "Afficher ou masquer les discussions",
    models: "Modèles",
    settings: "Réglages",
    shortcuts: "Cette liste",
    scroll: "Faire défiler",
  },
  export: {
    you: "Vous",
    model: "Modèle",
    system_prompt: "Consignes",
    untitled: "Discussion",
    dialog: "Exporter la discussion",
  },
  model: {
    none: "Aucun modèle",
    starting: "Démarrage…",
    loading: (fraction) => (fraction === null ? "Chargement…" : `Chargement… ${percent(fraction)}`),
    ready: "Prêt",
    generating: "Répond",
    switching: "Changement de place…",
    stopped: "Non chargé",
    failed: "Indisponible",
    about: (parameters, context, threads) =>
      `${integer(parameters / 1e6)} M de paramètres · contexte de ${integer(context)} jetons · ${plural(threads, { one: `${integer(threads)} fil de calcul`, other: `${integer(threads)} fils de calcul` })}`,
    gpu: (layers, device) =>
      `${plural(layers, { one: `${integer(layers)} couche`, other: `${integer(layers)} couches` })} sur ${device}`,
  },
  profile: {
    performance: "Performance",
    balanced: "Équilibré",
    cpu_fallback: "CPU",
  },
  profileOff: "Arrêté",
  profileLabel: (name) => `Profil : ${name}`,
  speed: (tokensPerSecond) => `${decimal(tokensPerSecond)} jetons/s`,
  chat: {
    log: "Discussion",
    you: "Vous",
    answerOf: (model) => `Réponse de ${model}`,
    jumpToLatest: "Aller à la fin",
    thinking: "Réflexion…",
    waitingForModel: "Le modèle se charge. Votre réponse vient ensuite.",
    reading: (done, total) => `Lecture… ${integer(done)}/${integer(total)}`,
    dropped: (turns) =>
      plural(turns, {
        one: `${integer(turns)} échange ancien a été laissé de côté : le contexte est plein.`,
        other: `${integer(turns)} échanges anciens ont été laissés de côté : le contexte est plein.`,
      }),
    restarted: (token) => `Au jeton ${integer(token)}, le processus du modèle a été remplacé ; rien n'est perdu.`,
    restartedShort: "relancé",
    switched: (profile, token) =>
      ({
        performance: `À partir du jeton ${integer(token)}, tout le modèle est sur le GPU.`,
        balanced: `À partir du jeton ${integer(token)}, une partie du modèle est sur le GPU.`,
        cpu_fallback: `À partir du jeton ${integer(token)}, le modèle est sur le CPU.`,
      })[profile],
    silent: "Le processus du modèle ne répond pas. On l’attend…",
    firstToken: (milliseconds) => `premier jeton ${duration(milliseconds)}`,
    tokens: (count) => plural(count, { one: `${integer(count)} jeton`, other: `${integer(count)} jetons` }),
    promptTokens: (count, cached) =>
      `${plural(count, { one: `${integer(count)} jeton lu`, other: `${integer(count)} jetons lus` })}, dont ${integer(cached)} en cache`,
    stop: {
      end: null,
      stop_string: "texte d’arrêt atteint",
      length: "longueur limite atteinte",
      context: "contexte plein",
      cancelled: "arrêtée",
    },
    interrupted: "Workly s’est fermé pendant l’écriture.",
    moved: {
      performance: "passée sur le GPU",
      balanced: "passée en partie sur le GPU",
      cpu_fallback: "passée sur le CPU",
    },
    movedWhy: (reason, gapMs) => `${reason ? `Raison : ${reason}. ` : ""}Le texte s’est interrompu ${duration(gapMs)}.`,
    regenerate: "Répondre à nouveau",
    edit: "Modifier",
    editLabel: "Votre message, en d’autres mots",
    copyMessage: "Copier le message",
    copyAnswer: "Copier la réponse",
    copyCode: "Copier le code",
    retry: "Réessayer",
    plainText: "texte",
  },
  composer: {
    label: "Votre message",
    placeholder: "Écrivez un message",
    send: "Envoyer",
    stop: "Arrêter",
    stopping: "Arrêt…",
    hintSend: "pour envoyer",
    hintNewLine: "pour aller à la ligne",
    hintStop: "pour arrêter",
    hintNewChat: "pour une nouvelle discussion",
    hintShortcuts: "pour tous les raccourcis",
  },
  keys: { enter: "Entrée", shift: "Maj", escape: "Échap", control: "Ctrl", alt: "Alt", up: "↑", down: "↓", pageUp: "Page préc.", pageDown: "Page suiv." },
  empty: {
    title: "De quoi parlons-nous ?",
    withModel: (model) => `${model} tourne sur cette machine. Ce que vous écrivez reste ici.`,
    withoutModel: "Le modèle tourne sur cette machine. Ce que vous écrivez reste ici.",
    suggestions: "Suggestions",
    ideas: [
      { title: "Expliquer", text: "Explique en quelques phrases simples à quoi sert un GPU." },
      { title: "Rédiger", text: "Écris un court e-mail aimable pour déplacer une réunion à jeudi." },
      { title: "Programmer", text: "Écris une fonction Python qui compte les mots d’un fichier texte." },
    ],
  },
  link: {
    title: "Ouvrir ce lien ?",
    warning: "C’est le modèle qui l’a écrit. Vérifiez où il mène.",
    open: "Ouvrir dans le navigateur",
  },
  problem: {
    model_missing: {
      title: "Le fichier du modèle est introuvable",
      advice: "Vérifiez qu’il est toujours à sa place, ou choisissez un autre modèle.",
    },
    no_permission: {
      title: "Le fichier du modèle ne peut pas être lu",
      advice: "Donnez à votre utilisateur le droit de lire ce fichier, puis réessayez.",
    },
    not_gguf: { title: "Ce fichier n’est pas un modèle GGUF", advice: "Choisissez un fichier de modèle qui se termine par .gguf." },
    model_damaged: {
      title: "Le fichier du modèle est abîmé",
      advice: "C’est sans doute un téléchargement incomplet. Téléchargez-le de nouveau.",
    },
    unsupported_architecture: {
      title: "Ce type de modèle n’est pas pris en charge",
      advice: "Choisissez un modèle d’une autre famille, ou mettez Workly à jour.",
    },
    context_too_large: {
      title: "Le contexte ne tient pas en mémoire",
      advice: "Réglez un contexte plus petit, ou fermez d’autres programmes.",
    },
    out_of_memory: {
      title: "Mémoire insuffisante",
      advice: "Fermez d’autres programmes, ou choisissez un modèle ou un contexte plus petit.",
    },
    empty_prompt: { title: "Il n’y a rien à quoi répondre", advice: "Écrivez d’abord un message." },
    prompt_too_long: {
      title: "Le message est trop long",
      advice: "Raccourcissez-le, ou réglez un contexte plus grand : il doit tenir dans le contexte du modèle.",
    },
    invalid_setting: { title: "Un réglage est hors de ses limites", advice: "Changez le réglage nommé ci-dessous." },
    template_failed: {
      title: "Le gabarit de discussion du modèle a échoué",
      advice: "Commencez une nouvelle discussion. Si cela se reproduit, choisissez un autre modèle.",
    },
    load_failed: {
      title: "Le modèle n’a pas pu être chargé",
      advice: "Réessayez. Les détails disent ce que le moteur a signalé.",
    },
    decode_failed: { title: "Le modèle a cessé de calculer", advice: "Réessayez. Le texte déjà écrit est conservé." },
    no_model: { title: "Aucun modèle", advice: "Choisissez d’abord un modèle." },
    worker_crashed: {
      title: "Le processus du modèle a planté",
      advice: "Le texte déjà écrit est conservé. Réessayez : un nouveau processus démarre tout seul.",
    },
    worker_killed: {
      title: "Le processus du modèle a été arrêté de l’extérieur",
      advice: "Le système le fait souvent quand la mémoire manque. Réessayez : un nouveau processus démarre tout seul.",
    },
    worker_unresponsive: {
      title: "Le processus du modèle ne répondait plus",
      advice: "Il a été arrêté. Réessayez : un nouveau processus démarre tout seul.",
    },
    worker_missing: {
      title: "Il manque une partie de Workly",
      advice: "Le programme qui fait tourner les modèles est introuvable. Réinstallez Workly.",
    },
    protocol: { title: "Workly a rencontré une erreur interne", advice: "Réessayez. Si elle persiste, redémarrez Workly." },
    link_refused: { title: "Ce lien n’a pas été ouvert", advice: "Copiez-le et ouvrez-le vous-même si vous lui faites confiance." },
    not_saved: {
      title: "L’enregistrement a échoué",
      advice: "Libérez de la place, ou autorisez Workly à écrire dans le dossier.",
    },
    gpu_unreadable: { title: "Le GPU ne peut pas être interrogé", advice: "Réessayez dans un instant." },
    cancelled: { title: "Arrêté", advice: "L’arrêt a eu lieu avant la fin." },
    conversation_missing: {
      title: "Cette discussion n’existe plus",
      advice: "Elle a été supprimée. Choisissez-en une autre, ou commencez-en une nouvelle.",
    },
    answer_running: { title: "Une réponse est encore en cours ici", advice: "Attendez qu’elle se termine, ou arrêtez-la d’abord." },
    store_failed: {
      title: "La discussion n’a pas pu être enregistrée",
      advice: "Vérifiez que le disque a de la place et qu’on peut y écrire, puis réessayez.",
    },
    export_failed: { title: "Le fichier n’a pas été écrit", advice: "Choisissez un autre endroit, puis réessayez." },
    disk_full: { title: "Le disque est trop plein", advice: "Faites de la place, puis réessayez." },
    download_failed: { title: "Le téléchargement s’est interrompu", advice: "Vérifiez la connexion, puis reprenez : ce qui est là est gardé." },
    download_refused: { title: "L’hôte refuse ce fichier", advice: "Choisissez un autre modèle, ou téléchargez-le avec votre navigateur et importez-le." },
    hash_mismatch: { title: "Ce n’est pas le fichier attendu", advice: "Il a été écarté. Téléchargez-le de nouveau." },
    model_exists: { title: "Un modèle de ce nom existe déjà", advice: "Renommez ou supprimez d’abord celui qui existe." },
    not_ours: { title: "Ce fichier n’est pas à Workly", advice: "Modifiez-le dans l’application à laquelle il appartient." },
    folder_unreadable: { title: "Le dossier ne peut pas être parcouru", advice: "Vérifiez qu’il existe et que vous pouvez le lire." },
  },
};
