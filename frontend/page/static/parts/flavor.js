// The size of a machine: one that may be chosen, or that it alone has.
import { get } from "../api.js";
import { useEffect, useState } from "../html.js";
import { flavors } from "../stores.js";

/** Its flavor as the API has it; undefined: not read yet, or there is none. */
export function useFlavor(machine) {
  const { id } = machine.flavor;
  const [alone, set] = useState(undefined);
  flavors.want();
  const all = flavors.value.value;
  const listed = all?.find((each) => each.id === id);
  const wanted = all && !listed;
  useEffect(() => {
    if (wanted) get("compute", `/flavors/${encodeURIComponent(id)}`).then(({ flavor }) => set(flavor), () => {});
  }, [id, wanted]);
  return listed || (alone?.id === id ? alone : undefined);
}
