// Runs inside KWin (Plasma 5.27 and 6): tells SmoothTask all windows whenever one of them changes.
// DESTINATION is put in when the script is loaded: the D-Bus connection that asked for it.
(function () {
    const destination = "@DESTINATION@";
    const plasma6 = typeof workspace.windowList === "function";
    const limit = 512;

    function windows() {
        return plasma6 ? workspace.windowList() : workspace.clientList();
    }

    function isHere(window) {
        if (window.onAllDesktops)
            return true;
        return plasma6
            ? window.desktops.indexOf(workspace.currentDesktop) >= 0
            : window.desktop === workspace.currentDesktop;
    }

    function workspaceOf(window) {
        if (window.onAllDesktops)
            return "";
        if (!plasma6)
            return String(window.desktop);
        return window.desktops.length ? String(window.desktops[0].name) : "";
    }

    function described(window) {
        return {
            id: String(window.internalId),
            pid: Number(window.pid) | 0,
            // A Wayland client's pid is the kernel's word; an X client's is its own.
            sure: /^(KWin::)?(Xdg|LayerShell|Wayland)/.test(String(window)),
            app: String(window.desktopFileName || window.resourceClass || "").slice(0, 64),
            title: String(window.caption || "").slice(0, 120),
            focused: Boolean(window.active),
            minimised: Boolean(window.minimized),
            fullscreen: Boolean(window.fullScreen),
            here: isHere(window),
            workspace: workspaceOf(window).slice(0, 64),
        };
    }

    function tell() {
        const list = [];
        const all = windows();
        for (let i = 0; i < all.length && list.length < limit; i++) {
            if (!all[i].deleted)
                list.push(described(all[i]));
        }
        callDBus(destination, "/org/smoothtask/Windows", "org.smoothtask.Windows", "Changed", JSON.stringify(list));
    }

    function connectAll(object, names) {
        for (const name of names) {
            if (object[name] && object[name].connect)
                object[name].connect(tell);
        }
    }

    function watch(window) {
        connectAll(window, ["minimizedChanged", "fullScreenChanged", "desktopChanged", "desktopsChanged"]);
    }

    windows().forEach(watch);
    connectAll(workspace, [
        "windowRemoved", "windowActivated",
        "clientRemoved", "clientActivated",
        "currentDesktopChanged",
    ]);
    (plasma6 ? workspace.windowAdded : workspace.clientAdded).connect(function (window) {
        watch(window);
        tell();
    });
    tell();
})();
