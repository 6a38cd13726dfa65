// Exports the windows of GNOME Shell on the session's bus for SmoothTask: all of them, whenever one changes.
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Meta from 'gi://Meta';

import {Extension} from 'resource:///org/gnome/shell/extensions/extension.js';

const NAME = 'org.smoothtask.Windows';
const PATH = '/org/smoothtask/Windows';
const INTERFACE = `<node>
  <interface name="${NAME}">
    <method name="Get"><arg type="s" direction="out" name="windows"/></method>
    <signal name="Changed"><arg type="s" name="windows"/></signal>
  </interface>
</node>`;
const LIMIT = 512;
const TITLE_PAUSE_MS = 1000;

export default class SmoothTaskWindows extends Extension {
    enable() {
        this._soon = 0;
        this._titles = 0;
        this._told = '';
        this._windows = new Map();
        this._exported = Gio.DBusExportedObject.wrapJSObject(INTERFACE, this);
        this._exported.export(Gio.DBus.session, PATH);
        this._owned = Gio.bus_own_name_on_connection(
            Gio.DBus.session, NAME, Gio.BusNameOwnerFlags.NONE, null, null);
        this._connections = [
            [global.display, global.display.connect('window-created', (_display, window) => this._watch(window))],
            [global.display, global.display.connect('notify::focus-window', () => this._tellSoon())],
            [global.workspace_manager,
                global.workspace_manager.connect('active-workspace-changed', () => this._tellSoon())],
        ];
        for (const window of this._all())
            this._watch(window);
    }

    disable() {
        for (const [object, id] of this._connections)
            object.disconnect(id);
        for (const [window, ids] of this._windows)
            ids.forEach(id => window.disconnect(id));
        for (const source of [this._soon, this._titles]) {
            if (source)
                GLib.source_remove(source);
        }
        Gio.bus_unown_name(this._owned);
        this._exported.unexport();
        this._connections = [];
        this._windows.clear();
        this._soon = this._titles = this._owned = 0;
        this._exported = null;
    }

    // The method that is called over the bus.
    Get() {
        return JSON.stringify(this._all().slice(0, LIMIT).map(window => this._describe(window)));
    }

    _all() {
        return global.get_window_actors()
            .map(actor => actor.meta_window)
            .filter(window => window && !window.is_override_redirect());
    }

    _describe(window) {
        const workspace = window.get_workspace();
        const app = window.get_sandboxed_app_id() || window.get_gtk_application_id() || window.get_wm_class();
        return {
            id: String(window.get_id()),
            pid: window.get_pid() | 0,
            // Mutter has it from the kernel, of Wayland clients; of X clients it depends on the X server.
            sure: window.get_client_type() === Meta.WindowClientType.WAYLAND,
            app: String(app || '').slice(0, 64),
            title: String(window.get_title() || '').slice(0, 120),
            focused: window.has_focus(),
            minimised: window.minimized,
            fullscreen: window.is_fullscreen(),
            here: window.located_on_workspace(global.workspace_manager.get_active_workspace()),
            workspace: workspace && !window.is_on_all_workspaces() ? String(workspace.index()) : '',
        };
    }

    _watch(window) {
        if (this._windows.has(window))
            return;
        const ids = ['notify::minimized', 'notify::fullscreen', 'workspace-changed']
            .map(name => window.connect(name, () => this._tellSoon()));
        ids.push(window.connect('notify::title', () => this._tellTitles()));
        ids.push(window.connect('unmanaged', () => {
            this._windows.delete(window);
            this._tellSoon();
        }));
        this._windows.set(window, ids);
        this._tellSoon();
    }

    // Once for all that happens in one turn of the Shell's loop.
    _tellSoon() {
        this._soon ||= GLib.idle_add(GLib.PRIORITY_DEFAULT, () => {
            this._soon = 0;
            this._tell();
            return GLib.SOURCE_REMOVE;
        });
    }

    // Titles may change all the time.
    _tellTitles() {
        this._titles ||= GLib.timeout_add(GLib.PRIORITY_LOW, TITLE_PAUSE_MS, () => {
            this._titles = 0;
            this._tell();
            return GLib.SOURCE_REMOVE;
        });
    }

    _tell() {
        const windows = this.Get();
        if (windows === this._told)
            return;
        this._told = windows;
        this._exported.emit_signal('Changed', new GLib.Variant('(s)', [windows]));
    }
}
