// French: the settings page.

import type { settings as english } from "./en.settings";
import { formats } from "./formats";

const { integer, decimal, plural } = formats("fr");
const times = (count: number) => `${integer(count)} fois`;
const minutesOf = (minutes: number) =>
  plural(minutes, { one: "Pendant la dernière minute", other: `Pendant les ${integer(minutes)} dernières minutes` });

export const settings: typeof english = {
  title: "Réglages",
  loading: "Lecture des réglages…",
  restoreDefault: (name) => `Rétablir la valeur par défaut de « ${name} »`,
  fixed: "Donné sur la ligne de commande jusqu’au prochain démarrage.",
  changedOutside: "Les modifications de config.json agissent aussitôt.",
  notice: {
    title: "À propos de votre fichier de réglages",
    dismiss: "Compris",
    text: (notice) => {
      switch (notice.type) {
        case "restored":
          return `config.json était inutilisable : vos derniers réglages valables ont été rétablis. Le fichier abîmé est conservé sous ${notice.kept_as}.`;
        case "defaults":
          return `config.json était inutilisable : les réglages par défaut sont en vigueur. Le fichier abîmé est conservé sous ${notice.kept_as}.`;
        case "unreadable":
          return "config.json ne peut pas être lu. Donnez à votre utilisateur le droit de le lire et de l’écrire, puis relancez Workly.";
        case "edit_broken":
          return "config.json a été modifié et n’est plus utilisable. Les réglages d’avant restent en vigueur jusqu’à ce qu’il soit réparé.";
        case "not_watched":
          return "config.json ne peut pas être surveillé. Les modifications extérieures agiront au prochain démarrage.";
        case "bad_value":
          if (notice.key === "gpu_monitoring.thresholds") return "Les seuils de config.json se contredisent ; les seuils par défaut les remplacent.";
          return `La valeur de ${notice.key} dans config.json est inutilisable ; ${notice.fallback} la remplace.`;
      }
    },
  },
  sections: {
    place: "Où tourne le modèle",
    thresholds: "Quand il change de place",
    model: "Modèle",
    watching: "Surveillance du GPU",
    window: "Fenêtre",
    data: "Données et aide",
  },
  profile: {
    label: "Profil",
    hint: "Automatique retire le modèle du GPU quand d’autres programmes en ont besoin, puis l’y remet.",
    choices: { auto: "Automatique", performance: "Performance", balanced: "Équilibré", cpu_fallback: "CPU" },
    about: {
      auto: "Workly décide d’après ce que la carte a de libre.",
      performance: "Autant du modèle sur le GPU qu’il peut en tenir.",
      balanced: "Une partie du modèle sur le GPU.",
      cpu_fallback: "Rien sur le GPU.",
    },
  },
  autoSwitching: {
    label: "Changer de lui-même",
    hint: "Désactivé : le modèle reste dans le profil où il est.",
  },
  override: {
    label: "Pour l’instant",
    hint: "Passe avant tout ce qui précède, pour un moment.",
    buttons: { hold: "Garder le GPU 30 minutes", give_up: "Libérer le GPU maintenant" },
    active: { hold: "Le GPU est gardé", give_up: "Le GPU est libéré" },
    until: (time) => `jusqu’à ${time}`,
    untilCancelled: "jusqu’à ce que vous annuliez",
    cancel: "Annuler",
  },
  gpu: {
    label: "GPU",
    hint: "Automatique prend la carte dédiée qui a le plus de mémoire libre.",
    auto: "Automatique",
    missing: (name) => `${name} (introuvable pour l’instant)`,
    looking: "Recherche des cartes…",
  },
  standby: {
    label: "Réserve sur le CPU",
    hint: "Une seconde copie prête sur le CPU, pour quitter le GPU sans attendre. Elle prend de la mémoire.",
    choices: { auto: "Si la mémoire suffit", on: "Toujours", off: "Jamais" },
  },
  thresholds: {
    vram: "Mémoire vidéo utilisée",
    vramHint: "Par tous les programmes ensemble, en pourcentage de la carte.",
    gpu: "GPU occupé",
    gpuHint: "Par le travail des autres, en pourcentage.",
    names: {
      optimal_vram_percent: "Calme sous",
      stressed_vram_percent: "Sollicité dès",
      overload_vram_percent: "Surchargé dès",
      optimal_gpu_percent: "Calme sous",
      stressed_gpu_percent: "Occupé dès",
    },
    gap: "Deux seuils voisins gardent au moins 5 points d’écart, pour que Workly n’aille pas et vienne.",
    limit: (least, most) => `Choisissez un nombre de ${integer(least)} à ${integer(most)} : les voisins gardent 5 points d’écart.`,
    preview: {
      none: "Il n’y a pas encore de mesures du GPU. Dès qu’il y en aura, vous verrez ici combien de fois ces seuils auraient fait changer le modèle.",
      busy: "Essai sur la dernière heure…",
      same: (minutes, switches) => switches === 0
          ? `${minutesOf(minutes)}, Workly n’aurait pas changé de place.`
          : `${minutesOf(minutes)}, Workly aurait changé ${times(switches)}.`,
      other: (minutes, switches, now) =>
        `${minutesOf(minutes)}, ces seuils auraient fait changer le modèle ${times(switches)}, et ceux en vigueur ${times(now)}.`,
      assumed: "Pour un modèle de 7 milliards de paramètres, car la place que prend le vôtre n’est pas encore connue.",
    },
    reset: "Rétablir ces valeurs",
  },
  reasons: {
    overload: "surcharge",
    stress: "sollicitation",
    fault: "mémoire épuisée",
    crash: "plantage",
    recovered: "de la place à nouveau",
    replan: "autre nombre de couches",
    override: "votre souhait du moment",
    choice: "votre choix",
    gpu_gone: "GPU disparu",
    start: "démarrage",
    table: "seuils seuls",
  },
  context: {
    label: "Contexte",
    hint: "Nombre de jetons de la discussion que le modèle voit. Davantage prend plus de mémoire. Le modèle est rechargé.",
    unit: "jetons",
  },
  kvType: {
    label: "Précision du contexte",
    hint: "Moins de bits prennent moins de mémoire pour le contexte et sont un peu moins exacts. Le modèle est rechargé.",
    choices: { f16: "16 bits", q8_0: "8 bits", q4_0: "4 bits" },
  },
  layers: {
    label: "Couches en Équilibré",
    hint: "Le plus de couches qu’Équilibré place sur le GPU.",
    unit: "couches",
  },
  threads: {
    label: "Fils de calcul du CPU",
    hint: "Automatique laisse votre machine utilisable.",
    auto: "Automatique",
    own: "Un nombre",
    unit: "fils",
  },
  interval: {
    label: "Mesurer toutes les",
    hint: "C’est aussi la finesse des courbes.",
    unit: "secondes",
    warning: "Sous 2 secondes, le coût en processeur se remarque, et certains pilotes font saccader les jeux.",
  },
  csv: {
    label: "Tenir un historique",
    hint: "Chaque mesure est une ligne de gpu-history.csv, dans le dossier de données.",
  },
  language: { label: "Langue", choices: { system: "Celle du système", en: "English", fr: "Français" } },
  theme: { label: "Apparence", choices: { system: "Celle du système", light: "Claire", dark: "Sombre" } },
  closeToTray: { label: "Continuer dans la zone de notification", hint: "Fermer la fenêtre y laisse Workly." },
  autostart: { label: "Démarrer avec l’ordinateur", hint: "Workly démarre quand vous ouvrez une session." },
  notify: { label: "Me prévenir des changements", hint: "Une notification quand Workly déplace le modèle de lui-même." },
  folder: { label: "Dossier de données", hint: "Réglages, discussions, journaux.", open: "Ouvrir le dossier" },
  diagnostics: {
    label: "Diagnostic",
    hint: "Versions, cartes, réglages, dernières décisions et fin du journal. Rien de vos discussions.",
    copy: "Copier le diagnostic",
    copied: "Copié. Collez-le dans votre rapport.",
    failed: "La copie a échoué.",
  },
  resetAll: {
    label: "Valeurs par défaut",
    hint: "Tous les réglages de cette page, comme après l’installation. Discussions et modèles restent.",
    button: "Tout rétablir…",
    title: "Rétablir toutes les valeurs par défaut ?",
    text: "Chaque réglage redevient ce qu’il était après l’installation. Vos discussions, vos modèles et le choix du modèle restent.",
    confirm: "Tout rétablir",
  },
  number: {
    range: (least, most) => `Choisissez un nombre de ${decimal(least)} à ${decimal(most)}.`,
    whole: (least, most) => `Choisissez un nombre entier de ${integer(least)} à ${integer(most)}.`,
  },
};
