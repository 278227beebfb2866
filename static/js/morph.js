"use strict";
/* morph(old, fresh) makes one element as another, changing only what differs: nothing jumps, what is
   unfolded or typed stays.

   Elements are the same where their id or data-key agrees, else where their tag does. What carries
   data-keep is left to the script that drew it. */
const morph = (() => {
  const keyOf = (node) => node.id || node.dataset?.key || "";
  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function attributes(old, fresh) {
    const kept = (name) => name === "open" && old.nodeName === "DETAILS";
    for (const { name, value } of fresh.attributes) {
      if (!kept(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!kept(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
  }

  function children(old, fresh) {
    let at = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      let found = at;
      while (found && !same(found, wanted)) found = found.nextSibling;
      if (!found) {
        old.insertBefore(wanted, at);
        continue;
      }
      if (found === at) at = at.nextSibling;
      else old.insertBefore(found, at);
      node(found, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function node(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.dataset.keep !== undefined || old.nodeName === "INPUT" || old.nodeName === "SELECT") return;
    attributes(old, fresh);
    if (old.nodeName !== "TEXTAREA") children(old, fresh);
  }

  return node;
})();
