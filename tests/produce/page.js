// Runs in the page: lets tokens in at a fixed pace, and measures what a person would see. All times in milliseconds.

const PACE = 1000 / 200;
const measured = { trips: [], paints: [], frames: [], letters: [], speed: [] };
window.measured = measured;

// A frame is on its way to the screen once a task runs behind the callbacks of that frame.
const behindFrame = (then) => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => then(performance.now());
  channel.port2.postMessage(null);
};

// Tokens come from the core in its own time; here they wait in a queue and are let through one by one.
const { callbacks } = window.__TAURI_INTERNALS__;
const callbackOf = callbacks.get.bind(callbacks);
const queue = [];
let first = 0;
let last = 0;
let let_in = 0;
let waiting = [];
callbacks.get = (id) => {
  const callback = callbackOf(id);
  return callback && ((data) => {
    if (typeof data?.index !== "number") callback(data);
    else queue.push([callback, data]);
  });
};
let due = performance.now();
setInterval(() => {
  const now = performance.now();
  if (queue.length === 0) due = now;
  for (; queue.length > 0 && due <= now; due += PACE) {
    const [callback, data] = queue.shift();
    // A token of an answer, in the envelope of its conversation.
    const told = data.message?.event;
    if (told?.type === "token") {
      first ||= now;
      last = now;
      let_in += 1;
      if (told.text.trim() !== "") waiting.push(now);
      measured.speed[0] = (let_in - 1) / Math.max((last - first) / 1000, 0.001);
    }
    callback(data);
  }
}, 1);

// A token is in the page with the first change of the conversation behind it.
new MutationObserver(() => {
  const shown = waiting;
  waiting = [];
  if (shown.length > 0) behindFrame((now) => measured.paints.push(...shown.map((since) => now - since)));
}).observe(document.body, { subtree: true, childList: true, characterData: true });

// Frames count while tokens come in.
let previous = performance.now();
const onFrame = (now) => {
  if (first > 0 && (queue.length > 0 || performance.now() - last < 100)) measured.frames.push(now - previous);
  previous = now;
  requestAnimationFrame(onFrame);
};
requestAnimationFrame(onFrame);

// From the key event's own time to the frame that shows its letter.
let pressed = 0;
addEventListener("keydown", (event) => (pressed = event.timeStamp), { capture: true });
addEventListener("input", () => {
  const since = pressed;
  requestAnimationFrame(() => behindFrame((now) => measured.letters.push(now - since)));
}, { capture: true });

// The way to the core and back, before anything else happens.
(async () => {
  for (let trip = 0; trip < 50; trip += 1) {
    const since = performance.now();
    await window.__TAURI_INTERNALS__.invoke("snapshot");
    measured.trips.push(performance.now() - since);
  }
})();
