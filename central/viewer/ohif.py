"""OHIF as we serve it: where it lies, our page around it and our configuration of it.

The page and the configuration are ours, so that no script stands in a page (the content security policy forbids it)
and nothing of OHIF asks for an address outside.
"""

from __future__ import annotations

import json
from pathlib import Path

from central.config import CentralConfig
from central.viewer.fetch import VERSION

DICOMWEB_PATH = "/dicom-web"
ENTER_PATH = f"{DICOMWEB_PATH}/enter"
"""Where the pages' tickets lead; below the path of the cookie, so that a browser keeps one for all its tabs."""
SIGNED_OUT_PATH = "/signed-out"
CHECKOUT_FOLDER = Path(__file__).parents[2] / ".cache" / f"ohif-{VERSION}"
"""Where ``make viewer`` puts it."""
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "font-src 'self' data:; media-src 'self' blob:; manifest-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
"""OHIF makes styles and workers as it goes; nothing of it may come from, or go to, anywhere else."""
WORKER_POLICY = POLICY.replace("'wasm-unsafe-eval'", "'wasm-unsafe-eval' 'unsafe-eval'")
"""On scripts, where it counts for workers alone: decoders of JPEG and its kin (emscripten) make functions of text.

The page itself may not.
"""


def folder_of(config: CentralConfig) -> Path | None:
    """Where OHIF lies; ``None`` when it was not fetched, or nobody's images can be shown."""
    if config.viewer_pacs is None:
        return None
    if config.viewer.folder:
        places = [Path(config.viewer.folder)]
    else:
        places = [config.data_dir / f"ohif-{VERSION}", CHECKOUT_FOLDER]
    return next((place for place in places if (place / "index.html").is_file()), None)


def page(folder: Path) -> str:
    """The one page of the application; without the service worker, the icons and the scripts in OHIF's own.

    Raises:
        OSError: If the folder does not hold what was fetched.
    """
    scripts = sorted(path.name for path in folder.glob("app.bundle.*.js"))
    if len(scripts) != 1:
        raise OSError(f"{folder} does not hold OHIF {VERSION}: fetch it anew")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Qafila - viewer</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<link rel="icon" href="/assets/favicon-32x32.png"><link rel="stylesheet" href="/app.bundle.css">'
        f'<script src="/app-config.js"></script><script defer src="/{scripts[0]}"></script></head>'
        '<body><noscript>The viewer needs JavaScript.</noscript><div id="react-portal"></div><div id="root"></div>'
        "</body></html>"
    )


def app_config() -> str:
    """``app-config.js``: one PACS through our proxy, no list of studies, nothing from elsewhere."""
    source = {
        "friendlyName": "Qafila",
        "qidoRoot": DICOMWEB_PATH,
        "wadoRoot": DICOMWEB_PATH,
        "wadoUriRoot": DICOMWEB_PATH,
        "qidoSupportsIncludeField": True,
        "supportsReject": False,
        "supportsStow": False,
        "supportsFuzzyMatching": False,
        "supportsWildcard": False,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "omitQuotationForMultipartRequest": True,
        "singlepart": "bulkdata,pdf,video",
        "acceptHeader": ["multipart/related; type=application/octet-stream; transfer-syntax=*"],
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
    }
    config = {
        "routerBasename": "/",
        "extensions": [],
        "modes": [],
        "showStudyList": False,
        "customizationService": [{"ohif.tours": {"$set": []}}],
        "investigationalUseDialog": {"option": "never"},
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "showLoadingIndicator": True,
        "maxNumberOfWebWorkers": 2,
        "maxNumRequests": {"interaction": 16, "thumbnail": 4, "prefetch": 4},
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "dicomweb",
                "configuration": source,
            }
        ],
    }
    return (
        "window.PUBLIC_URL = '/';\n"
        "function browserImportFunction(name) { return import(name); }\n"
        f"window.config = {json.dumps(config)};\n"
        "window.config.httpErrorHandler = function (error) {\n"
        f"  if (error.status === 401) {{ window.location.assign('{SIGNED_OUT_PATH}'); }}\n"
        "};\n"
    )
