// What the address keeps after its `#`, by name. People write it by hand, too:
// what is unknown or broken there changes nothing.

const address = {
  held: new URLSearchParams(location.hash.slice(1)),
  followers: [],
  timer: 0,

  get: (name) => address.held.get(name) ?? "",
  list: (name) => address.held.getAll(name),

  // Takes the values of each name; none takes it out of the address.
  set(changes) {
    for (const [name, values] of Object.entries(changes)) {
      address.held.delete(name);
      for (const value of values) address.held.append(name, value);
    }
    address.tell();
    // Browsers refuse an address that changes with every key.
    clearTimeout(address.timer);
    address.timer = setTimeout(
      () => history.replaceState(null, "", `#${address.held}`), 100);
  },

  // Calls now, and whenever one of the names has other values.
  follow(names, apply) {
    let last;
    const look = () => {
      const now = JSON.stringify(names.map(address.list));
      if (now === last) return;
      last = now;
      apply();
    };
    address.followers.push(look);
    look();
  },

  tell() {
    for (const look of address.followers) look();
  },
};

addEventListener("hashchange", () => {
  clearTimeout(address.timer);
  address.held = new URLSearchParams(location.hash.slice(1));
  address.tell();
});
