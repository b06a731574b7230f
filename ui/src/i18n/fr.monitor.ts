// French: the monitor page.

import type { monitor as english } from "./en.monitor";
import { formats } from "./formats";

const { integer, decimal, plural } = formats("fr");
const gigabytes = (bytes: number) => `${decimal(bytes / 1e9)}\u00a0Go`;

/** The core's sentences are made of few parts; each has its French. */
const phrases: [RegExp, string][] = [
  [/^[a-z_]+: /, ""],
  [/others' VRAM/g, "VRAM des autres"],
  [/others' GPU/g, "GPU des autres"],
  [/the model's worker ran out of memory/, "le processus du modèle a manqué de mémoire"],
  [/the model took more than planned/, "le modèle a pris plus que prévu"],
  [/there is room for more layers/, "il y a de la place pour plus de couches"],
  [/as you asked for now/, "comme vous l’avez demandé pour l’instant"],
  [/as chosen in the settings/, "comme choisi dans les réglages"],
  [/the GPU does not answer any more/, "le GPU ne répond plus"],
  [/\bprocess (\d+)/g, "processus $1"],
  [/(\d)\.(\d) GB/g, "$1,$2\u00a0Go"],
  [/(\d) %/g, "$1\u00a0%"],
];

export const monitor: typeof english = {
  title: "GPU",
  waiting: "La carte est interrogée…",
  state: { overloaded: "Surchargé", stressed: "Sollicité", optimal: "Calme", moderate: "Modéré" },
  stateHint: {
    overloaded: "Si pleine que des programmes peuvent échouer : la place du modèle est sur le CPU.",
    stressed: "Pleine et occupée : une partie du modèle devrait partir.",
    optimal: "Ni pleine ni occupée : tout le modèle est bienvenu.",
    moderate: "Entre les deux : le modèle reste où il est.",
  },
  stale: "Le pilote ne répond pas ; les chiffres sont anciens.",
  asleep: "La carte dort, on la laisse tranquille.",
  figures: {
    vram: "Mémoire vidéo",
    of: (used, total) => `${gigabytes(used)} sur ${gigabytes(total)}`,
    own: "Workly",
    others: "Autres",
    gpu: "Occupé",
    temperature: "Température",
    celsius: (value) => `${integer(value)}\u00a0°C`,
    power: "Puissance",
    watts: (value) => `${integer(value)}\u00a0W`,
    unknown: "inconnu",
  },
  gigabytes,
  percent: (value) => `${integer(value)}\u00a0%`,
  range: { label: "Durée affichée", five: "5 min", hour: "1 h", all: "Tout" },
  chart: {
    vram: "Mémoire vidéo, en pourcentage de la carte",
    gpu: "GPU occupé, en pourcentage",
    overload: "surchargé",
    stressed: "sollicité",
    optimal: "calme",
    busy: "occupé",
    empty: "La première mesure arrive.",
    collecting: "Les courbes commencent ici.",
    vramSummary: (now, own, highest) => `Mémoire vidéo : ${now} maintenant, dont Workly ${own} ; maximum ${highest}.`,
    gpuSummary: (now, highest) => `GPU occupé : ${now} maintenant ; maximum ${highest}.`,
  },
  decisions: {
    title: "Décisions",
    none: "Aucune décision pour l’instant. Chaque déplacement du modèle s’inscrit ici, avec sa raison.",
    first: "Démarrage",
    stays: "reste",
    to: (profile) => `vers ${profile}`,
    strategies: {
      standby: "la réserve a pris le relais",
      side_by_side: "côte à côte",
      via_cpu: "en passant par le CPU",
      emergency: "urgence",
      replay: "recalculé",
    },
    explain: (sentence) => phrases.reduce((text, [english, french]) => text.replace(english, french), sentence),
  },
  processes: {
    title: "Programmes sur le GPU",
    show: "Voir les programmes",
    refresh: "Actualiser",
    hide: "Masquer",
    name: "Programme",
    pid: "Processus",
    vram: "Mémoire vidéo",
    unknown: "inconnue",
    none: "Aucun programme n’utilise la carte, ou le pilote ne le dit pas.",
    hint: "Demandé seulement quand vous l’ouvrez, car le pilote met du temps à répondre.",
  },
  export: {
    button: "Exporter en CSV",
    done: (path) => `Enregistré sous ${path}`,
    show: "Voir dans le dossier",
  },
  empty: {
    title: {
      no_gpu: "Aucun GPU à surveiller",
      driver: "Le pilote du GPU est inutilisable",
      no_permission: "Cet utilisateur n’a pas le droit de lire le GPU",
      not_supported: "Le GPU n’indique pas sa mémoire",
      lost: "Le GPU a disparu",
      silent: "Le pilote du GPU ne répond pas",
    },
    advice: {
      no_gpu: "Workly fait tourner le modèle sur le CPU. Avec une carte NVIDIA ou AMD, installez son pilote : Workly la trouvera tout seul.",
      driver: "Redémarrez l’ordinateur, ou réinstallez le pilote. D’ici là, le modèle tourne sur le CPU.",
      no_permission: "Donnez à votre utilisateur l’accès aux fichiers du GPU. D’ici là, le modèle tourne sur le CPU.",
      not_supported: "Choisissez un profil fixe dans les réglages.",
      lost: "Workly le cherche à nouveau toutes les quelques secondes. Le modèle tourne sur le CPU en attendant.",
      silent: "Workly l’interroge à nouveau.",
    },
    demo: "Voyez ce que fait Workly sur une charge enregistrée :",
  },
  demo: {
    open: "Démonstration",
    close: "Quitter la démonstration",
    label: "Démonstration",
    banner: (total) => `Une charge enregistrée sur une carte imaginaire de ${gigabytes(total)}, avec un modèle de 7 milliards de paramètres. Les décisions sont celles de Workly, avec vos seuils.`,
    recording: "Enregistrement",
    names: { gaming: "Un jeu", streaming: "Une diffusion", bursts: "De courtes pointes" },
    play: "Lire",
    pause: "Pause",
    again: "Relire",
    speed: "Vitesse",
    times: (speed) => `${integer(speed)}×`,
    position: "Position",
    compare: (workly, table) =>
      `Sur tout l’enregistrement, Workly change ${integer(workly)} fois ; les seuils seuls, ${plural(table, { one: `${integer(table)} fois`, other: `${integer(table)} fois` })}.`,
  },
  profileAt: (profile, names) => (profile ? names[profile] : "aucun modèle"),
};
