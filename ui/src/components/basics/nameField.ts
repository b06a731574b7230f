/**
 * For a field in which something gets another name: Enter and leaving the field take the name, Escape keeps the old one.
 * `end` is called once, with null where the old name stays.
 */
export function nameField(end: (name: string | null) => void): (field: HTMLInputElement) => () => void {
  return (field) => {
    let ended = false;
    const endOnce = (name: string | null) => {
      if (ended) return;
      ended = true;
      end(name);
    };
    const onblur = () => endOnce(field.value);
    const onkeydown = (event: KeyboardEvent) => {
      event.stopPropagation();
      if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
      event.preventDefault();
      endOnce(event.key === "Enter" ? field.value : null);
    };
    field.addEventListener("blur", onblur);
    field.addEventListener("keydown", onkeydown);
    field.focus();
    field.select();
    return () => {
      field.removeEventListener("blur", onblur);
      field.removeEventListener("keydown", onkeydown);
    };
  };
}
